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
