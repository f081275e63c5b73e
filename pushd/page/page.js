// Asks the daemon every two seconds, and shows what it says. Whatever people wrote is set as text, never as markup.

import { latency, throughput } from "./charts.js";
import { preferred, words } from "./words.js";

const EVERY = 2000; // milliseconds
const BOUND = 5000;
const COLUMNS = ["time", "row", "wallet_code", "nick", "endpoint", "outcome", "attempts", "answer", "took", "age"];
const UNBROKEN = new Set(["time", "row", "attempts", "took", "age"]);

let language = preferred(navigator.languages);
let say = words(language);
let latest = null;
let paused = false;
let timer = null;
let asking = null; // what breaks off the question that is under way

const at = (id) => document.getElementById(id);

function made(name, { text, kind, ...attributes } = {}, ...children) {
  const element = document.createElement(name);
  if (text !== undefined && text !== null) element.textContent = text;
  if (kind) element.className = kind;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// numbers

function span(seconds) {
  const [s, min, h, d] = say.units;
  const parts = [[86400, d], [3600, h], [60, min]].find(([size]) => seconds >= 2 * size) ?? [1, s];
  return `${Math.floor(Math.max(0, seconds) / parts[0])} ${parts[1]}`;
}

function milliseconds(value) {
  if (value === null) return "";
  return value < 1000 ? `${Number(value.toPrecision(3))} ms` : `${Number((value / 1000).toPrecision(3))} s`;
}

function count(value) {
  return Number(value).toLocaleString(language);
}

function moment(epoch) {
  const when = new Date(epoch * 1000);
  const sameDay = when.toDateString() === new Date().toDateString();
  return sameDay ? when.toLocaleTimeString(language) : when.toLocaleString(language);
}

// parts of the page

function showState(of) {
  const state = at("state");
  const word = of === null ? say.silent : of.ready ? say.ready : say.not_ready;
  if (state.textContent !== word) state.textContent = word; // or it would be read out again and again
  state.className = `state ${of?.ready ? "good" : "bad"}`;
  document.title = of === null ? "pushd" : `${of.ready ? "" : "⚠ "}pushd ${of.name}`;
}

function finding({ code, text }) {
  const translated = say.reason[code];
  if (!translated) return made("li", { text });
  return made("li", { text: translated }, made("small", { text, lang: "en" }));
}

function showFindings(of) {
  at("reasons").replaceChildren(...of.reasons.map(finding));
  at("warnings").replaceChildren(...of.warnings.map(finding));
  at("findings").hidden = of.reasons.length + of.warnings.length === 0;
}

function showFigures({ figures }) {
  const last = figures.last_push_seconds;
  const shown = [
    [say.total, count(figures.delivered)],
    [say.failed_total, count(figures.failed), figures.failed > 0],
    [say.expired_total, count(figures.expired), figures.expired > 0],
    [say.backlog, count(figures.backlog)],
    [say.unsettled, count(figures.unsettled)],
    [say.last_push, last === null ? say.never : say.ago(span(last))],
    [say.delay, milliseconds(figures.average_delay_ms)],
  ];
  at("figures").replaceChildren(
    ...shown.map(([name, value, bad]) =>
      made("div", {}, made("dt", { text: name }), made("dd", { text: value, kind: bad ? "bad" : "" })),
    ),
  );
}

function endpoint(of, slotSeconds) {
  const { course } = of;
  const busiest = Math.max(...course.delivered.map((value, x) => value + course.failed[x])) / slotSeconds;
  const means = course.mean_ms.filter((value) => value !== null);
  const mean = means.reduce((sum, value) => sum + value, 0) / means.length;
  const longest = Math.max(...course.worst_ms.map((value) => value ?? 0));
  const captions = [
    say.per_second(Number(busiest.toPrecision(2))),
    means.length ? say.responses(milliseconds(mean), milliseconds(longest)) : say.no_responses,
  ];
  const card = made(
    "article",
    { kind: "endpoint" },
    made("h3", {}, made("span", { text: of.name }), made("span", { text: say[of.condition], kind: `badge ${of.condition}` })),
    made("p", { text: say.counts(of) }),
    made("p", { text: say.waiting(of) }),
  );
  if (of.last_error) {
    const failing = of.failing_seconds !== null;
    const lead = failing ? say.since(span(of.failing_seconds), of.failures) : say.last_error;
    card.append(made("p", { text: `${lead} ${of.last_error}`, kind: failing ? "error" : "note" }));
  }
  card.append(
    made(
      "div",
      { kind: "charts" },
      made("figure", {}, throughput(`${of.name}: ${captions[0]}`, course.delivered, course.failed), made("figcaption", { text: captions[0] })),
      made("figure", {}, latency(`${of.name}: ${captions[1]}`, course.mean_ms, course.worst_ms), made("figcaption", { text: captions[1] })),
    ),
  );
  return card;
}

function row(of) {
  const cells = {
    time: { text: moment(of.at) },
    row: { text: of.row_id },
    wallet_code: { text: of.wallet_code },
    nick: { text: of.nick_name },
    endpoint: { text: of.endpoint },
    attempts: { text: of.attempts },
    answer: { text: of.error ?? of.status },
    took: { text: milliseconds(of.ms) },
    age: { text: milliseconds(of.age_seconds * 1000) },
  };
  return made(
    "tr",
    {},
    ...COLUMNS.map((name) =>
      name === "outcome"
        ? made("td", { "data-head": say.outcome }, made("span", { text: say[of.outcome], kind: `badge ${of.outcome}` }))
        : made("td", { ...cells[name], kind: UNBROKEN.has(name) ? "number" : "", "data-head": say[name] }),
    ),
  );
}

function showDeliveries(id, label, deliveries) {
  if (deliveries.length === 0) {
    at(id).replaceChildren(made("p", { text: say.none, kind: "empty" }));
    return;
  }
  const head = made("tr", {}, ...COLUMNS.map((name) => made("th", { text: say[name], scope: "col" })));
  const body = made("tbody", {}, ...deliveries.map(row));
  at(id).replaceChildren(made("table", { "aria-label": label }, made("thead", {}, head), body));
}

function show(of) {
  showState(of);
  at("name").textContent = of.name;
  showFindings(of);
  showFigures(of);
  at("endpoints").replaceChildren(...of.endpoints.map((each) => endpoint(each, of.slot_seconds)));
  showDeliveries("undelivered", say.undelivered, of.undelivered);
  showDeliveries("delivered", say.delivered_list, of.delivered);
  at("found").textContent = of.search ? say.found(of.undelivered.length + of.delivered.length) : "";
  at("about").textContent = say.about(of, span(of.uptime_seconds));
}

function showWords() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = say[element.dataset.word];
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", say[element.dataset.label]);
  }
  at("pause").textContent = paused ? say.go_on : say.pause;
  const other = language === "zh" ? "en" : "zh";
  at("language").textContent = other === "zh" ? "中文" : "English";
  at("language").lang = other;
}

// asking

async function ask() {
  clearTimeout(timer);
  asking?.abort();
  const mine = (asking = new AbortController());
  const bound = setTimeout(() => mine.abort(), BOUND);
  try {
    const search = encodeURIComponent(at("search").value);
    const answer = await fetch(`api/v1/webhook/overview?search=${search}`, { signal: mine.signal });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const of = await answer.json();
    if (asking === mine) show((latest = of));
  } catch {
    if (asking === mine) showState(null);
  } finally {
    clearTimeout(bound);
    if (asking === mine) again(EVERY);
  }
}

function again(milliseconds_) {
  clearTimeout(timer);
  if (!paused && !document.hidden) timer = setTimeout(ask, milliseconds_);
}

at("search").addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(ask, 150); // also when paused: it was asked for
});
at("pause").addEventListener("click", () => {
  paused = !paused;
  at("pause").setAttribute("aria-pressed", String(paused));
  at("pause").textContent = paused ? say.go_on : say.pause;
  if (paused) clearTimeout(timer);
  else ask();
});
at("language").addEventListener("click", () => {
  language = language === "zh" ? "en" : "zh";
  say = words(language);
  showWords();
  if (latest) show(latest);
});
document.addEventListener("visibilitychange", () => again(0));

showWords();
ask();
