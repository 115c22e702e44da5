// All of it

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
