// Search

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
