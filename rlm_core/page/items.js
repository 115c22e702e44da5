// The run as a tree of items: { kind, label, much, start, end, spans, failed, text, items, open, up, ... }

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
