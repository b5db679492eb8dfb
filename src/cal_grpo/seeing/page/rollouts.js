// The table of rollouts. What it shows is in the address behind #, so that a view can be kept and shared.

const pageLength = 50;
const byId = (id) => document.getElementById(id);
const filters = byId("filters");
let state = { run: "", outcome: "", step: "", find: "", page: 0, open: null };
let kept = [];

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const whole = (name) => (/^\d{1,9}$/.test(given.get(name) ?? "") ? Number(given.get(name)) : null);
  const open = whole("open");
  state = { run: given.get("run") ?? "", outcome: given.get("outcome") ?? "", step: given.get("step") ?? "",
    find: given.get("find") ?? "", page: whole("page") ?? 0, open: open !== null && open < data.rollouts.length ? open : null };
}

function writeAddress() {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) if (value !== "" && value !== null && (name !== "page" || value)) parts.set(name, value);
  history.replaceState(null, "", "#" + (parts.size ? parts : "rollouts"));
}

function steps(text) {
  const found = /^\s*(\d{1,9})\s*(?:[-–]\s*(\d{1,9}))?\s*$/.exec(text);
  return found ? [Number(found[1]), Number(found[2] ?? found[1])] : [0, Infinity];
}

function fits(rollout, low, high, find) {
  if (state.run !== "" && rollout.run !== Number(state.run)) return false;
  if (rollout.step < low || rollout.step > high) return false;
  if (state.outcome === "any wrong" ? rollout.correct : state.outcome && rollout.outcome !== state.outcome) return false;
  if (!find) return true;
  rollout.searched ??= [data.questions[rollout.question], ...rollout.pieces.map((piece) => piece[0]), "\n", rollout.verdict?.critique ?? ""]
    .join("").toLowerCase();
  return rollout.searched.includes(find);
}

function select() {
  const [low, high] = steps(state.step);
  const find = state.find.toLowerCase();
  kept = data.rollouts.flatMap((rollout, index) => (fits(rollout, low, high, find) ? [index] : []));
  state.page = Math.max(0, Math.min(state.page, Math.ceil(kept.length / pageLength) - 1));
}

function rowNode(index) {
  const r = data.rollouts[index];
  const row = make("tr", { onclick: () => open(index) });
  row.setAttribute("aria-selected", index === state.open);
  const cell = (className, ...children) => row.append(make("td", { className }, ...children));
  if (data.runs.length > 1) {
    const name = put(make("span", { className: "spare" }), brief(data.runs[r.run], 24));
    cell("run", make("span", { className: `swatch s${r.run % data.colours}`, title: data.runs[r.run] }), name);
  }
  cell("number", String(r.step));
  cell("number spare", String(r.row));
  cell("", outcomeBadge(r));
  cell("question", put(make("button", { type: "button" }), brief(data.questions[r.question], 140).trim() || "(blank)"));
  cell("spare short", put(make("span"), brief(r.extracted ?? "–", 14)));
  cell("spare short", put(make("span"), brief(r.expected ?? "–", 14)));
  cell("number spare first", String(r.tokens));
  cell("number spare first", r.span ? String(r.span[1] - r.span[0]) : "–");
  cell("number spare first", r.mean === null ? "–" : signed(r.mean));
  return row;
}

function showTable() {
  const first = state.page * pageLength;
  byId("table").tBodies[0].replaceChildren(...kept.slice(first, first + pageLength).map(rowNode));
  const whole = data.rollouts.length.toLocaleString("en");
  byId("count").textContent = kept.length ? `${kept.length.toLocaleString("en")} of ${whole} rollouts` : `None of ${whole} rollouts fits.`;
  byId("place").textContent = kept.length ? `${first + 1} to ${Math.min(first + pageLength, kept.length)}` : "";
  byId("pager").hidden = kept.length <= pageLength;
  byId("back").disabled = state.page === 0;
  byId("on").disabled = first + pageLength >= kept.length;
}

function showDetail() {
  const detail = byId("detail");
  detail.hidden = state.open === null;
  byId("split").classList.toggle("open", state.open !== null);
  if (state.open === null) return detail.replaceChildren();
  const r = data.rollouts[state.open];
  const place = kept.indexOf(state.open);
  const go = (by) => make("button", { type: "button", disabled: kept[place + by] === undefined, onclick: () => open(kept[place + by]) },
    by < 0 ? "← previous" : "next →");
  const name = data.runs.length > 1 ? brief(data.runs[r.run], 40) + ", " : "";
  const close = make("button", { type: "button", onclick: () => open(null) }, "close");
  const heading = put(make("strong"), `${name}step ${r.step}, row ${r.row}`);
  detail.replaceChildren(make("div", { className: "steer" }, heading, go(-1), go(1), close), ...detailNodes(state.open, open));
  detail.scrollTop = 0;
}

function open(index) {
  state.open = index ?? null;
  const place = kept.indexOf(state.open);
  if (place >= 0) state.page = Math.floor(place / pageLength);
  writeAddress();
  showTable();
  showDetail();
  if (index !== null) byId("detail").focus({ preventScroll: true });
}

function filter(changes) {
  Object.assign(state, changes, { page: 0 });
  select();
  writeAddress();
  showTable();
  showDetail();
}

function turn(by) {
  state.page += by;
  writeAddress();
  showTable();
}

function showAll() {
  readAddress();
  for (const name of ["run", "outcome", "step", "find"]) filters.elements[name].value = state[name];
  select();
  if (state.open !== null && kept.includes(state.open)) state.page = Math.floor(kept.indexOf(state.open) / pageLength);
  showTable();
  showDetail();
}

function buildRollouts() {
  const heads = [...(data.runs.length > 1 ? [["run"]] : []), ["step", "number"], ["row", "number spare"], ["outcome"], ["question"],
    ["answer", "spare"], ["expected", "spare"], ["tokens", "number spare first"], ["span", "number spare first"], ["mean advantage", "number spare first"]];
  byId("table").tHead.append(make("tr", {}, ...heads.map(([text, className = ""]) => make("th", { scope: "col", className }, text))));
  const choices = (name, options) => filters.elements[name].append(...options.map(([value, text]) => put(make("option", { value }), text)));
  choices("run", [["", "all"], ...data.runs.map((name, index) => [String(index), name])]);
  const outcomes = [...new Set(data.rollouts.map((r) => r.outcome))].sort();
  choices("outcome", [["", "all"], ["any wrong", "any wrong"], ...outcomes.map((name) => [name, name])]);
  filters.elements.run.parentNode.hidden = data.runs.length < 2;
  filters.hidden = byId("list").hidden = !data.rollouts.length;
  filters.oninput = () => filter(Object.fromEntries(["run", "outcome", "step", "find"].map((n) => [n, filters.elements[n].value])));
  filters.onsubmit = (event) => event.preventDefault();
  filters.onreset = () => filter({ run: "", outcome: "", step: "", find: "" });
  byId("back").onclick = () => turn(-1);
  byId("on").onclick = () => turn(1);
  addEventListener("hashchange", showAll);
  addEventListener("keydown", (event) => {
    if (state.open === null || event.altKey || event.ctrlKey || event.metaKey || /^(INPUT|SELECT)$/.test(event.target.tagName)) return;
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const next = kept[kept.indexOf(state.open) + by];
    if (event.key === "Escape") open(null);
    else if (next !== undefined) open(next);
  });
  showAll();
  if (location.hash.includes("=")) byId("rollouts").scrollIntoView(); // an address that was kept or shared
}
