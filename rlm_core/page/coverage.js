// The coverage strip: a lane for each way of looking into the inputs

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
