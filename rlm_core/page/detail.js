// What is selected

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
