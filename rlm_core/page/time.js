// The time line: bars in lanes, so that what ran at once lies one above the other

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
