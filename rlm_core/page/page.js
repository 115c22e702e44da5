"use strict";
// Everything that is shown is put in by `textContent`: no text of a run is ever read as markup.
const DATA = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const NAMES = { run: "run", root: "root model", code: "code", sub: "sub-call", child: "child run", tool: "tool", failed: "failed" };
const ROW = 26, MANY = 12;

function el(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
const count = n => Number(n || 0).toLocaleString("en");
const seconds = s => s == null ? "" : s < 60 ? `${s.toFixed(s < 10 ? 2 : 1)} s` : `${Math.floor(s / 60)}:${String(Math.round(s % 60)).padStart(2, "0")} min`;
const dollars = c => c == null ? "" : `$${c.toFixed(c < 0.01 ? 5 : 4)}`;
const line = (text, most) => (text || "").slice(0, most * 4).replace(/\s+/g, " ").trim().slice(0, most);
const plural = (n, what) => `${count(n)} ${what}${n === 1 ? "" : "s"}`;

// ---- the run as a tree of items: { kind, label, much, start, end, spans, failed, text, items, open, up, ... }

const all = [];
function item(kind, up, more) {
  const made = Object.assign({ kind, up, items: [], open: true, spans: [], failed: false, label: "", much: "", index: all.length }, more);
  all.push(made);
  if (up) up.items.push(made);
  return made;
}

function addRun(run, up) {
  const depth = run.path ? run.path.split(".").length : 0;
  const end = run.end || last(run);
  const made = item(up ? "child" : "run", up, {
    run, depth, start: run.start, end,
    label: up ? `Child ${run.path}: ${line(run.query, 90)}` : "The run",
    much: seconds(end - run.start), failed: Boolean(up) && (run.status === "error" || !run.status),
    text: [run.query, run.answer, run.reason].join("\n"), open: !up,
  });
  for (const step of run.steps) addStep(step, made, depth);
  return made;
}

function addStep(step, up, depth) {
  const asking = step.asking;
  const lines = step.code.split("\n").filter(text => text.trim());
  const first = lines.find(text => !/^\s*(#|import |from )/.test(text)) || lines[0];
  const end = step.end || (asking && asking.end) || step.asked;
  const made = item("step", up, {
    step, depth, start: asking ? asking.end - asking.seconds : step.asked, end, spans: step.spans,
    label: `Step ${step.turn}  ${line(first || (asking && asking.text) || "", 90)}`, much: seconds(end - step.asked),
    failed: Boolean(step.error || (asking && asking.error)),
    text: [asking && asking.text, asking && asking.error, step.code, step.output, step.error, ...step.notes].join("\n"),
  });
  const batches = new Map();
  for (const call of step.calls) {
    if (!batches.has(call.batch)) batches.set(call.batch, []);
    batches.get(call.batch).push(call);
  }
  for (const calls of batches.values()) {
    let above = made;
    if (calls.length > 1) {
      const failed = calls.filter(call => call.error).length;
      const start = Math.min(...calls.map(call => call.end - call.seconds)), end = Math.max(...calls.map(call => call.end));
      above = item("batch", made, {
        calls, depth, start, end, failed: failed > 0, open: calls.length <= MANY, text: "",
        label: `${plural(calls.length, "sub-call")} at once${failed ? `, ${failed} failed` : ""}`, much: seconds(end - start),
      });
      calls.sort((a, b) => a.slot - b.slot);
    }
    for (const call of calls) addCall(call, above, depth);
  }
  for (const child of step.children) addRun(child, made);
}

function addCall(call, up, depth) {
  const tool = call.kind === "tool";
  item(tool ? "tool" : "sub", up, {
    call, depth: depth + 1, start: call.end - call.seconds, end: call.end, spans: call.spans, failed: Boolean(call.error),
    label: tool ? `${call.prompt}()` : `${line(call.prompt, 60)} → ${line(call.error || call.text, 60)}`,
    much: [seconds(call.seconds), call.used && dollars(call.used[3])].filter(Boolean).join("  "),
    text: [call.prompt, call.text, call.error].join("\n"),
  });
}

function last(run) {
  let end = run.start;
  for (const step of run.steps) {
    end = Math.max(end, step.end || 0, step.asking ? step.asking.end : 0, ...step.calls.map(call => call.end), ...step.children.map(last));
  }
  return end;
}

// ---- the head

const run = DATA.run;
function head() {
  $("question").textContent = run.query || "The context states the task";
  const facts = $("facts");
  facts.append(el("span", `status ${run.status.split(" ")[0]}`, run.status.replace("_", " ")));
  const models = run.model === run.sub_model ? run.model : `${run.model}, sub-calls ${run.sub_model}`;
  const when = new Date(run.started * 1000).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
  const told = [when, models, `${count(run.chars)} characters`, plural(run.steps || 0, "step"), plural(run.calls || 0, "call"),
    `${count((run.input || 0) + (run.output || 0))} tokens`, dollars(run.cost), seconds(total.end - total.start), `run ${run.id}`];
  facts.append(` · ${told.filter(Boolean).join(" · ")}`);
  const answer = [run.unverified ? "(not verified) " : "", run.answer || "", run.reason ? `${run.answer ? "\n" : ""}${run.reason}` : ""].join("");
  if (answer) { $("answer").hidden = false; $("answer").textContent = answer; }
}

function spent() {
  const rows = new Map();
  const add = (depth, role, call) => {
    if (!call || !call.used) return;
    const key = `${depth}|${role}|${call.model}`;
    const row = rows.get(key) || rows.set(key, [depth, role, call.model, 0, 0, 0, 0, 0]).get(key);
    const [sent, got, , cost] = call.used;
    row[3] += 1; row[4] += sent; row[5] += got; row[7] += call.seconds;
    row[6] = row[6] == null || cost == null ? null : row[6] + cost;
  };
  for (const one of all) {
    if (one.kind === "step") add(one.depth, one.depth ? "child" : "root", one.step.asking);
    if (one.kind === "sub") add(one.depth, "sub-call", one.call);
  }
  const table = $("spent");
  const heading = table.createTHead().insertRow();
  ["Depth", "Role", "Model", "Calls", "Tokens in", "Tokens out", "Cost", "Time, added up"].forEach((text, n) => {
    const cell = el("th", n < 3 ? "left" : "", text);
    cell.scope = "col";
    heading.append(cell);
  });
  const body = table.createTBody();
  for (const row of [...rows.values()].sort((a, b) => a[0] - b[0])) {
    const made = body.insertRow();
    [row[0], row[1], row[2], count(row[3]), count(row[4]), count(row[5]), row[6] == null ? "not known" : dollars(row[6]), seconds(row[7])]
      .forEach((text, n) => made.append(el("td", n < 3 ? "left" : "", String(text))));
  }
}

// ---- the tree, of which only the rows in sight are made

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

// ---- search

function search() {
  needle = $("search").value.toLowerCase();
  hits = new Set(needle ? all.filter(one => (one.text || "").toLowerCase().includes(needle)) : []);
  $("matches").textContent = needle ? plural(hits.size, "match").replace("matchs", "matches") : "";
  draw();
  if (chosen) detail(chosen);
}
function nextHit(way) {
  const found = all.filter(one => hits.has(one));
  if (!found.length) return;
  const at = chosen ? chosen.index : -1;
  choose(way > 0 ? found.find(one => one.index > at) || found[0] : found.findLast(one => one.index < at) || found.at(-1));
}
$("search").addEventListener("input", search);
$("search").addEventListener("keydown", event => { if (event.key === "Enter") nextHit(event.shiftKey ? -1 : 1); });

// ---- what is selected

function detail(one) {
  const panel = $("detail");
  panel.replaceChildren(el("h2", "", one.kind === "step" ? `Step ${one.step.turn}${one.depth ? ` of child ${one.up.run.path}` : ""}` : one.label));
  const show = (title, text, kind) => { if (text) panel.append(el("h3", "", title), block(text, kind)); };
  const folded = (title, text) => {
    if (!text) return;
    const box = el("details");
    box.open = Boolean(needle) && text.toLowerCase().includes(needle);
    box.append(el("summary", "", title), block(text));
    panel.append(box);
  };
  if (one.run) {
    panel.append(el("p", "", `${one.run.status || "not ended"} · ${count(one.run.chars)} characters · ${one.much}`));
    show("Question", one.run.query);
    show("Answer", one.run.answer);
    show("Reason", one.run.reason);
    show("What it was given", one.run.text);
    for (const note of one.run.notes) show("Note", note);
    folded("What the root model is told of the text", one.run.card);
  } else if (one.step) {
    const step = one.step, asking = step.asking;
    panel.append(el("p", "", asking ? used(asking) : "not answered"));
    if (asking && asking.error) show("The call failed", asking.error, "failed");
    const prose = asking && (step.code ? asking.text.split(step.code)[0].replace(/`{3,}\w*\s*$/, "") : asking.text);
    show("Said", (prose || "").trim());
    const beside = el("div", "beside"), left = el("div"), right = el("div");
    left.append(el("h3", "", "Code"), block(step.code || "(none)", "python"));
    right.append(el("h3", "", `Output${step.seconds ? `, ${seconds(step.seconds)}` : ""}`), block(step.output || "(none)"));
    if (step.error) right.append(el("h3", "", "Error"), block(step.error, "failed"));
    beside.append(left, right);
    panel.append(beside);
    for (const note of step.notes) show("Note", note);
    folded("What the model read of it", step.shown);
  } else if (one.kind === "batch") {
    const times = one.calls.map(call => call.seconds).sort((a, b) => a - b);
    panel.append(el("p", "", `the whole batch ${one.much}; one call ${seconds(times[0])} to ${seconds(times.at(-1))}, half of them under ${seconds(times[times.length >> 1])}`));
    const slow = [...one.items].sort((a, b) => b.call.seconds - a.call.seconds).slice(0, 5);
    show("The slowest", slow.map(call => `${seconds(call.call.seconds)}  ${call.label}`).join("\n"));
    show("Failed", one.items.filter(call => call.failed).slice(0, 50).map(call => `${call.call.slot + 1}: ${call.call.error}`).join("\n"), "failed");
  } else {
    panel.append(el("p", "", used(one.call)));
    if (one.call.error) show("The call failed", one.call.error, "failed");
    if (one.kind === "sub") { show("Prompt", one.call.prompt); show("Answer", one.call.text); }
    if (one.spans.length) panel.append(el("h3", "", "From the context"), el("p", "", one.spans.slice(0, 30).map(([name, start, length]) => `${name} ${count(start)}–${count(start + length)}`).join(", ")));
  }
  panel.scrollTop = 0;
}

function used(call) {
  const tokens = call.used ? `${count(call.used[0])} tokens in${call.used[2] ? ` (${count(call.used[2])} cached)` : ""}, ${count(call.used[1])} out` : "";
  return [call.model, seconds(call.seconds), tokens, call.used && dollars(call.used[3])].filter(Boolean).join(" · ");
}

const PYTHON = /(#[^\n]*)|([rbfRBF]{0,2}(?:"""[\s\S]*?"""|'''[\s\S]*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))|\b(False|None|True|and|as|assert|async|await|break|class|continue|def|del|elif|else|except|finally|for|from|global|if|import|in|is|lambda|nonlocal|not|or|pass|raise|return|try|while|with|yield)\b|\b(\d[\d_.]*)\b/g;

function block(text, kind) {
  const pre = el("pre", kind === "failed" ? "failed" : "");
  if (kind !== "python") { marked(pre, text); return pre; }
  let at = 0;
  for (const found of text.matchAll(PYTHON)) {
    marked(pre, text.slice(at, found.index));
    const span = el("span", found[1] ? "c" : found[2] ? "s" : found[3] ? "k" : "n");
    marked(span, found[0]);
    pre.append(span);
    at = found.index + found[0].length;
  }
  marked(pre, text.slice(at));
  return pre;
}

function marked(into, text) {
  if (!needle) { into.append(text); return; }
  const low = text.toLowerCase();
  let at = 0;
  for (let next; (next = low.indexOf(needle, at)) >= 0; at = next + needle.length) {
    into.append(text.slice(at, next), el("mark", "", text.slice(next, next + needle.length)));
  }
  into.append(text.slice(at));
}

// ---- the time line: bars in lanes, so that what ran at once lies one above the other

const bars = [];
function layBars() {
  const groups = new Map();
  const put = (group, one, kind, start, end) => {
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push({ one, kind, start, end });
  };
  for (const one of all) {
    if (one.kind === "step") {
      const path = one.up.run.path, kind = one.depth ? "child" : "root", asking = one.step.asking;
      if (asking) put(path, one, asking.error ? "failed" : kind, asking.end - asking.seconds, asking.end);
      if (asking && one.step.end) put(path, one, "code", asking.end, one.step.end);
    } else if (one.call) {
      put("calls", one, one.failed ? "failed" : one.kind, one.start, one.end);
    }
  }
  let lanes = 0;
  const order = [...groups.keys()].sort((a, b) => (a === "calls") - (b === "calls") || a.localeCompare(b, "en", { numeric: true }));
  const root = groups.get("") || [];
  const rest = order.filter(name => name !== "").flatMap(name => groups.get(name));
  for (const some of [root, rest]) {
    const free = [];
    for (const bar of some.sort((a, b) => a.start - b.start)) {
      let lane = free.findIndex(end => end <= bar.start + 1e-6);
      if (lane < 0) lane = free.length;
      free[lane] = bar.end;
      bars.push(Object.assign(bar, { lane: lanes + lane }));
    }
    lanes += free.length;
  }
  return lanes;
}

function prepare(canvas, height) {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth;
  canvas.style.height = `${height}px`;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  return [pen, width];
}
const style = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const PAD = 8, AXIS = 20;

function drawTime() {
  const canvas = $("time"), high = Math.max(3, Math.min(18, Math.floor(260 / Math.max(1, total.lanes))));
  const [pen, width] = prepare(canvas, total.lanes * high + AXIS + PAD);
  const span = Math.max(total.end - total.start, 1e-3), scale = (width - 2 * PAD) / span;
  const x = at => PAD + (at - total.start) * scale;
  pen.font = "11px system-ui, sans-serif";
  for (let n = 0; n <= 5; n++) {
    const at = total.start + span * n / 5;
    pen.fillStyle = style("line");
    pen.fillRect(x(at), 0, 1, total.lanes * high + PAD);
    pen.fillStyle = style("soft");
    pen.textAlign = n === 0 ? "left" : n === 5 ? "right" : "center";
    pen.fillText(seconds(span * n / 5), x(at), total.lanes * high + AXIS + 2);
  }
  const colours = {};
  for (const bar of bars) {
    let inside = false;
    for (let one = bar.one; one && !inside; one = one.up) inside = one === chosen;
    pen.globalAlpha = inside ? 1 : 0.45;
    pen.fillStyle = colours[bar.kind] ||= style(bar.kind);
    bar.x = x(bar.start); bar.y = PAD / 2 + bar.lane * high; bar.w = Math.max(1.5, (bar.end - bar.start) * scale); bar.h = Math.max(2, high - 1);
    pen.fillRect(bar.x, bar.y, bar.w, bar.h);
    if (bar.one === chosen) { pen.strokeStyle = style("ink"); pen.strokeRect(bar.x - 0.5, bar.y - 0.5, bar.w + 1, bar.h + 1); }
  }
  pen.globalAlpha = 1;
}

function under(event) {
  const box = $("time").getBoundingClientRect(), px = event.clientX - box.left, py = event.clientY - box.top;
  let best = null;
  for (const bar of bars) if (px >= bar.x - 2 && px <= bar.x + bar.w + 2 && py >= bar.y - 1 && py <= bar.y + bar.h + 1) best = bar;
  return best;
}
function tip(event, text) {
  const box = $("tip");
  box.hidden = !text;
  if (!text) return;
  box.textContent = text;
  box.style.left = `${Math.min(event.clientX + 12, window.innerWidth - box.offsetWidth - 8)}px`;
  box.style.top = `${event.clientY + 14}px`;
}
$("time").addEventListener("mousemove", event => { const bar = under(event); tip(event, bar && `${NAMES[bar.kind]} ${seconds(bar.end - bar.start)}: ${bar.one.label}`); });
$("time").addEventListener("mouseleave", event => tip(event, ""));
$("time").addEventListener("click", event => { const bar = under(event); if (bar) { choose(bar.one); tree.focus(); } });

// ---- the coverage strip: a lane for each way of looking into the inputs

const looked = helper => one => one.kind === "step" ? one.step.looked.filter(span => span[0] === helper).map(span => span.slice(1)) : [];
const LANES = [
  ["chunks", "cut into chunks", looked("chunks")],
  ["sub", "sent to sub-calls", one => one.kind === "sub" ? one.spans : []],
  ["grep", "found by grep", looked("grep")],
  ["root", "printed for the root model", one => one.kind === "step" ? one.spans : []],
];
const starts = new Map();
let size = 0;
for (const [name, chars] of DATA.inputs) { starts.set(name, size); size += chars; }

function drawStrip() {
  if ($("coverage").hidden) return;
  const [pen, width] = prepare($("strip"), LANES.length * 18 + 6);
  const scale = (width - 2 * PAD) / size;
  const fill = (spans, y, high) => {
    for (const [name, start, length] of spans) if (starts.has(name)) pen.fillRect(PAD + (starts.get(name) + start) * scale, y, Math.max(1.5, length * scale), high);
  };
  LANES.forEach(([kind, , spans], lane) => {
    const y = 4 + lane * 18;
    pen.fillStyle = style("line");
    pen.fillRect(PAD, y, width - 2 * PAD, 14);
    pen.fillStyle = style(kind);
    pen.globalAlpha = 0.75;
    for (const one of all) fill(spans(one), y, 14);
    pen.globalAlpha = 1;
    if (chosen) { pen.fillStyle = style("ink"); fill(spans(chosen), y + 5, 4); }
  });
  pen.fillStyle = style("ink");
  for (const begin of [...starts.values()].slice(1)) pen.fillRect(PAD + begin * scale, 2, 1, LANES.length * 18);
}

function covered(lane) {
  const known = all.flatMap(lane).filter(([name]) => starts.has(name));
  const spans = known.map(([name, start, length]) => [starts.get(name) + start, starts.get(name) + start + length]);
  let sum = 0, reached = 0;
  for (const [start, end] of spans.sort((a, b) => a[0] - b[0])) {
    sum += Math.max(0, end - Math.max(start, reached));
    reached = Math.max(reached, end);
  }
  return sum;
}
const share = part => part === 0 ? "none" : part < 0.001 ? "under 0.1%" : `${(100 * part).toFixed(part < 0.1 ? 1 : 0)}%`;
$("strip").addEventListener("mousemove", event => {
  const box = $("strip").getBoundingClientRect();
  const at = Math.round((event.clientX - box.left - PAD) / (box.width - 2 * PAD) * size);
  const [name, begin] = [...starts].findLast(([, begin]) => begin <= Math.max(0, at)) || [];
  tip(event, at >= 0 && at <= size ? `${name}, character ${count(at - begin)}` : "");
});
$("strip").addEventListener("mouseleave", event => tip(event, ""));

// ---- all of it

function swatch(kind, text) {
  const made = el("span", "swatch"), colour = el("i");
  colour.style.background = `var(--${kind})`;
  made.append(colour, text);
  return made;
}

const total = { start: run.started, end: run.ended || run.started, lanes: 1, item: null };
if (DATA.root) {
  total.item = addRun(DATA.root, null);
  total.start = DATA.root.start;
  total.end = total.item.end;
  total.lanes = layBars();
}
head();
spent();
for (const kind of ["root", "code", "sub", "child", "tool", "failed"]) {
  if (!bars.some(bar => bar.kind === kind)) continue;
  $("legend").append(swatch(kind, NAMES[kind]));
}
$("time").setAttribute("aria-label", `Time line of ${plural(bars.length, "call")} and steps over ${seconds(total.end - total.start)}; the tree below holds the same`);
if (size) {
  $("coverage").hidden = false;
  $("covered").append(`Of ${count(size)} characters${DATA.late ? ", at least" : ""}: `);
  for (const [kind, what, lane] of LANES) $("covered").append(swatch(kind, `${share(covered(lane) / size)} ${what}`), " ");
  $("strip").setAttribute("aria-label", $("covered").textContent);
}
flatten();
choose(total.item);
window.addEventListener("resize", () => { paint(); draw(); });
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
