// The head

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
