// Keeps the list of decisions live, and opens a decision where it stands. The page works without it, too.

const MOST_ROWS = 100; // More would only slow the page down: older decisions have pages of their own.
const FIGURES_EVERY = 10_000; // Milliseconds between two looks at the figures while decisions come.
const SAY_EVERY = 10_000; // Milliseconds between two sentences to a screen reader.
const [NEW, CHANGED] = ["new", "changed"];
const WORDS = { up: "Live", away: "Router away", lost: "Reconnecting", paused: "Paused" };

const list = document.getElementById("list");
const byId = (id) => document.getElementById(id);

if (list) {
  openInPlace();
  if (list.dataset.live === "yes") follow();
}

/** Shows decisions as the edge tells of them. */
function follow() {
  const body = byId("rows").tBodies[0];
  const waiting = new Map(); // What came while the list is paused, by decision.
  const pause = byId("pause");
  let state = "";
  let unsaid = 0;

  const paused = () => pause.getAttribute("aria-pressed") === "true";
  const sayFigures = spaced(refreshFigures, FIGURES_EVERY);
  const sayNew = spaced(() => {
    if (unsaid && !paused()) byId("said").textContent = `${unsaid} new ${unsaid === 1 ? "decision" : "decisions"}`;
    unsaid = 0;
  }, SAY_EVERY);

  function tell(now) {
    state = now;
    const shown = paused() && now === "up" ? "paused" : now;
    byId("state").dataset.state = shown;
    byId("state-text").textContent = WORDS[shown];
    byId("away").hidden = now !== "away";
  }

  function show(rows) {
    const came = rows.map((row) => place(body, row));
    if (!came.some(Boolean)) return;
    unsaid += came.filter((how) => how === NEW).length;
    byId("rows").hidden = false;
    byId("empty").hidden = true;
    if (body.rows.length > MOST_ROWS) cutOff(body);
    if (unsaid) sayNew();
    sayFigures();
  }

  pause.hidden = false;
  pause.addEventListener("click", () => {
    pause.setAttribute("aria-pressed", String(!paused()));
    pause.textContent = paused() ? "Resume" : "Pause";
    if (!paused()) {
      show([...waiting.values()]);
      waiting.clear();
    }
    tell(state);
  });

  let events = null;

  function listen() {
    events = new EventSource(list.dataset.events);
    events.addEventListener("state", (event) => tell(event.data));
    events.addEventListener("rows", (event) => take(JSON.parse(event.data)));
    events.addEventListener("error", () => tell("lost"));
  }

  function take(rows) {
    if (!paused()) return show(rows);
    for (const row of rows) {
      waiting.delete(row.id);
      waiting.set(row.id, row);
      if (waiting.size > MOST_ROWS) waiting.delete(waiting.keys().next().value);
    }
    pause.textContent = `Resume (${waiting.size})`;
  }

  // A browser has six connections to one host for all its tabs: one that nobody sees, or that nobody has seen yet, has none. What
  // it misses comes as it listens again.
  function listenWhereSeen() {
    events?.close();
    if (!document.hidden) listen();
  }

  listenWhereSeen();
  document.addEventListener("visibilitychange", listenWhereSeen);
  // A page that is left would be kept with its stream cut.
  addEventListener("pagehide", () => events?.close());
  addEventListener("pageshow", (event) => event.persisted && location.reload());
}

/** Puts a row, which the edge has written as HTML, where its time belongs; whether it is a new one, or one that has changed. */
function place(body, { id, time, html }) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const row = template.content.querySelector("tr");
  const before = byId(`d-${id}`);
  if (before) {
    if (before.innerHTML === row.innerHTML) return "";
    const inside = document.activeElement?.closest("tr") === before ? document.activeElement.className : "";
    before.replaceWith(row);
    if (inside) row.querySelector(`.${inside}`)?.focus({ preventScroll: true });
    return CHANGED;
  }
  // Older ones have a page of their own.
  if (byId("older") && time < Number(body.rows[body.rows.length - 1]?.dataset.time)) return "";
  let next = body.rows[0];
  while (next && Number(next.dataset.time) > time) next = next.nextElementSibling;
  row.classList.add("new");
  body.insertBefore(row, next ?? null);
  return NEW;
}

/** Keeps the list short. What it loses the link to older decisions would leap over, so the link begins anew. */
function cutOff(body) {
  while (body.rows.length > MOST_ROWS) body.rows[body.rows.length - 1].remove();
  const older = byId("older");
  if (older) {
    older.href = older.dataset.latest || "/";
    older.textContent = "Load the list anew";
  }
}

async function refreshFigures() {
  const figures = byId("figures");
  // Nobody is disturbed who reads a table of it.
  if (document.hidden || figures.contains(document.activeElement) || figures.querySelector("details[open]")) return;
  const answer = await fetch(figures.dataset.src).catch(() => null);
  if (answer?.ok) figures.innerHTML = await answer.text();
}

/** Opens a decision in a dialog over the list; with a modifier key its link does as links do. */
function openInPlace() {
  const dialog = byId("explained");
  const body = byId("explained-body");

  list.addEventListener("click", async (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const row = event.target.closest("tbody tr");
    const other = event.target.closest("a:not(.open), button, summary");
    if (!row || other || (!event.target.closest("a.open") && String(getSelection()))) return;
    event.preventDefault();
    const link = row.querySelector("a.open");
    const answer = await fetch(`${link.getAttribute("href")}/part`).catch(() => null);
    body.innerHTML = answer ? await answer.text() : "";
    if (!answer) body.textContent = "The edge does not answer.";
    if (!dialog.open) dialog.showModal();
    body.scrollTop = 0;
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}

/** The same work, done at once and then at most every so many milliseconds, and once more where it was wanted in between. */
function spaced(work, milliseconds) {
  let timer = 0;
  let wanted = false;
  return function ask() {
    wanted = true;
    if (timer) return;
    wanted = false;
    work();
    timer = setTimeout(() => {
      timer = 0;
      if (wanted) ask();
    }, milliseconds);
  };
}
