// The tree, of which only the rows in sight are made

let flat = [], chosen = null, hits = new Set(), needle = "";
const tree = $("tree"), rows = $("rows");

function flatten() {
  flat = [];
  const walk = (one, level) => {
    one.level = level;
    one.at = flat.length;
    flat.push(one);
    if (one.open) for (const inner of one.items) walk(inner, level + 1);
  };
  if (total.item) walk(total.item, 1);
  rows.style.height = `${flat.length * ROW}px`;
}

function draw() {
  const from = Math.max(0, Math.floor(tree.scrollTop / ROW) - 8);
  const to = Math.min(flat.length, Math.ceil((tree.scrollTop + tree.clientHeight) / ROW) + 8);
  const made = [];
  for (let at = from; at < to; at++) made.push(rowOf(flat[at], at));
  if (chosen && flat[chosen.at] === chosen && (chosen.at < from || chosen.at >= to)) made.push(rowOf(chosen, chosen.at));
  rows.replaceChildren(...made);
}

function rowOf(one, at) {
  const row = el("div", `row${hits.has(one) ? " hit" : ""}`);
  row.id = `row-${one.index}`;
  row.style.top = `${at * ROW}px`;
  row.style.paddingLeft = `${(one.level - 1) * 14 + 6}px`;
  row.setAttribute("role", "treeitem");
  row.setAttribute("aria-level", one.level);
  row.setAttribute("aria-selected", one === chosen);
  if (one.up) {
    row.setAttribute("aria-setsize", one.up.items.length);
    row.setAttribute("aria-posinset", one.up.items.indexOf(one) + 1);
  }
  if (one.items.length) row.setAttribute("aria-expanded", one.open);
  row.setAttribute("aria-label", `${one.label}${one.failed ? ", failed" : ""}, ${one.much}`);
  const twist = el("span", "twist", one.items.length ? (one.open ? "▾" : "▸") : "");
  const dot = el("span", "dot");
  dot.style.background = `var(--${colour(one)})`;
  row.append(twist, dot, el("span", "what", one.label), el("span", "much", one.much));
  row.addEventListener("click", event => {
    if (event.target === twist || one === chosen) toggle(one);
    choose(one);
  });
  return row;
}

const colour = one => one.failed ? "failed" : { step: one.depth ? "child" : "root", batch: "sub", run: "root" }[one.kind] || one.kind;

function toggle(one, open = !one.open) {
  if (!one.items.length) return;
  one.open = open;
  flatten();
  draw();
}

function choose(one) {
  if (!one) return;
  let opened = false;
  for (let up = one.up; up; up = up.up) if (!up.open) { up.open = true; opened = true; }
  if (opened) flatten();
  chosen = one;
  const top = one.at * ROW;
  if (top < tree.scrollTop) tree.scrollTop = top;
  if (top + ROW > tree.scrollTop + tree.clientHeight) tree.scrollTop = top + ROW - tree.clientHeight;
  draw();
  tree.setAttribute("aria-activedescendant", `row-${one.index}`);
  detail(one);
  paint();
}

let painting = false;
function paint() {  // once a frame, however fast a key repeats
  if (painting) return;
  painting = true;
  requestAnimationFrame(() => { painting = false; drawTime(); drawStrip(); });
}

tree.addEventListener("scroll", draw);
tree.addEventListener("keydown", event => {
  const at = chosen ? chosen.at : 0;
  const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: flat.length - 1, PageDown: at + 20, PageUp: at - 20 };
  if (event.key in moves) choose(flat[Math.max(0, Math.min(flat.length - 1, moves[event.key]))]);
  else if (event.key === "ArrowRight" && chosen) chosen.items.length && !chosen.open ? toggle(chosen, true) : choose(chosen.items[0]);
  else if (event.key === "ArrowLeft" && chosen) chosen.items.length && chosen.open ? toggle(chosen, false) : choose(chosen.up);
  else if ((event.key === "Enter" || event.key === " ") && chosen) toggle(chosen);
  else return;
  event.preventDefault();
});
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = document.activeElement === $("search");
  if (event.key === "Escape" && typing) tree.focus();
  else if (typing) return;
  else if (event.key === "/") $("search").focus();
  else if (event.key === "n") nextHit(1);
  else if (event.key === "p") nextHit(-1);
  else if (event.key === "j" || event.key === "k") choose(flat[Math.max(0, Math.min(flat.length - 1, (chosen ? chosen.at : 0) + (event.key === "j" ? 1 : -1)))]);
  else return;
  event.preventDefault();
});
