// Charts, sorting, filters and the theme: everything a page does, without any request.
const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");
function isDark() { return root.dataset.theme ? root.dataset.theme === "dark" : dark.matches; }
let library = null;
// Plotly is four megabytes: it is read when the first chart comes near, so that tables answer at once.
function plotly() {
  library ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = document.body.dataset.plotly;
    script.onload = done;
    script.onerror = failed;
    document.head.append(script);
  });
  return library;
}
// One drawing of a figure after the other: the theme may turn while it is drawn.
function drawn(figure) {
  figure.dataset.drawn = "yes";
  const before = waiting.get(figure) ?? Promise.resolve();
  waiting.set(figure, before.then(() => drawing(figure)));
  return waiting.get(figure);
}
const waiting = new WeakMap();
async function drawing(figure) {
  await plotly();
  const style = getComputedStyle(root);
  const ink = style.getPropertyValue("--text").trim(), line = style.getPropertyValue("--line").trim();
  const charts = JSON.parse(figure.querySelector(".chart-data").textContent);
  const plots = figure.querySelectorAll(".plot");
  charts.forEach((chart) => {
    const layout = chart.layout;
    layout.font = { color: ink, size: 12, family: "system-ui, DejaVu Sans, sans-serif" };
    for (const axis of ["xaxis", "yaxis"]) { layout[axis].gridcolor = line; layout[axis].linecolor = line; }
    for (const trace of chart.data) {
      const mark = trace.marker;
      if (mark && mark.color === "#000000" && isDark()) mark.color = "#ffffff";
      const error = trace.error_x;
      if (error && (!error.color || error.ink)) { error.color = ink; error.ink = true; }
    }
  });
  for (const [i, chart] of charts.entries()) {
    plots[i].dataset.dark = isDark() ? "yes" : "no";
    await draw(plots[i], chart, isDark(), { displayModeBar: false });
    await new Promise((done) => setTimeout(done));  // a reader who clicks meanwhile is answered first
  }
}
const seen = "IntersectionObserver" in window ? new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting && !entry.target.dataset.drawn) drawn(entry.target);
}, { rootMargin: "200px" }) : null;
for (const figure of document.querySelectorAll(".chart")) seen ? seen.observe(figure) : drawn(figure);
function drawAll() { return Promise.all([...document.querySelectorAll(".chart")].map(drawn)); }
addEventListener("beforeprint", drawAll);
// Theme
const button = document.querySelector(".theme");
let kept = null;
try { kept = localStorage.getItem("inferbench-theme"); } catch { kept = null; }
function theme(name) {
  if (name) root.dataset.theme = name;
  button.setAttribute("aria-pressed", String(isDark()));
  for (const figure of document.querySelectorAll(".chart[data-drawn]")) drawn(figure);
}
button.hidden = false;
theme(kept);
button.addEventListener("click", () => {
  const next = isDark() ? "light" : "dark";
  try { localStorage.setItem("inferbench-theme", next); } catch { /* a page from a file may keep nothing */ }
  theme(next);
});
dark.addEventListener("change", () => theme(null));
// Menu on a phone
const menu = document.querySelector(".menu"), nav = document.querySelector("nav");
menu.addEventListener("toggle", () => nav.classList.toggle("open", menu.open));
// Tables
function value(row, column) {
  const cell = row.cells[column];
  return cell.dataset.sort !== undefined && cell.dataset.sort !== "" ? Number(cell.dataset.sort) : cell.textContent.trim();
}
function compare(a, b) {
  const numbers = [typeof a === "number", typeof b === "number"];
  if (numbers[0] !== numbers[1]) return numbers[0] ? -1 : 1; // what is missing stands last
  return numbers[0] ? a - b : String(a).localeCompare(String(b));
}
for (const table of document.querySelectorAll(".sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach((one) => one.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows];
    const missing = (row) => typeof value(row, column) === "string" && row.cells[column].textContent.trim() === "–";
    rows.sort((a, b) => missing(a) - missing(b) || (up ? 1 : -1) * compare(value(a, column), value(b, column)));
    table.tBodies[0].append(...rows);
  }));
}
function filter(id) {
  const table = document.getElementById(id), input = document.querySelector(`[data-filter="${id}"]`);
  const words = (input ? input.value : "").toLowerCase().split(/\s+/).filter(Boolean);
  const boxes = [...document.querySelectorAll(`[data-choose="${id}"]`)];
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const text = row.textContent.toLowerCase();
    const chosen = boxes.every((box) => box.checked || row.cells[Number(box.dataset.column)].textContent !== box.value);
    row.hidden = !(chosen && words.every((word) => text.includes(word)));
    shown += row.hidden ? 0 : 1;
  }
  document.getElementById(`${id}-count`).textContent = `${shown} of ${table.tBodies[0].rows.length} rows`;
}
for (const input of document.querySelectorAll("[data-filter]")) input.addEventListener("input", () => filter(input.dataset.filter));
for (const box of document.querySelectorAll("[data-choose]")) box.addEventListener("change", () => filter(box.dataset.choose));
