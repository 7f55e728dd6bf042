// The page where a reader follows: explains first, asks the browser for its
// permission only on the press, and says in place what to do when it can't.
// document.body.dataset.state is "ready", "working", "subscribed" or "error";
// dataset.trial is what became of the test notification.
import { faultsSaid } from "./faults.js";
import { overrides, search, suggest, useMyZone } from "./places.js";

const { Dateline } = globalThis; // embed.js, from the page's head
const $ = id => document.getElementById(id);
const words = Object.fromEntries([...$("words").content.querySelectorAll("[data-word]")].map(e => [e.dataset.word, e.textContent]));

// refused puts what the API found wrong into the page's language.
function refused(errors) {
  const { said, other } = faultsSaid(errors);
  return said.length ? [words.refused, ...said, ...(other ? [words.failed] : [])].join(" ") : words.failed;
}

function state(name, text = "", detail = "") {
  document.body.dataset.state = name;
  document.body.dataset.error = name === "error" ? detail : "";
  $("status").textContent = text;
}

function wishes() {
  const form = new FormData($("wishes"));
  const cap = parseInt(form.get("cap"), 10);
  return {
    regions: form.getAll("region"),
    mutedRegions: form.getAll("mute"),
    sections: form.getAll("section"),
    level: form.get("level") || "bulletin",
    overrides: overrides(form),
    language: form.get("language"),
    onlyLanguage: form.has("onlyLanguage"),
    timezone: form.get("timezone"),
    quiet: form.has("quiet") ? { from: form.get("quietFrom"), to: form.get("quietTo"), flash: form.has("quietFlash") } : null,
    cap: Number.isNaN(cap) ? null : cap,
  };
}

async function follow() {
  if (document.body.dataset.state === "working") return;
  const chosen = wishes();
  if (chosen.regions.length === 0) return state("error", words.choose, "regions");
  state("working", words.working);
  $("follow").setAttribute("aria-disabled", "true");
  try {
    await followed(await Dateline.follow(chosen));
  } catch (error) {
    failed(error);
  } finally {
    $("follow").removeAttribute("aria-disabled");
  }
}

function failed(error) {
  const said = { denied: words.denied, dismissed: words.dismissed, service: words.service, limit: words.limit, refused: refused(error.errors) };
  state("error", said[error.code] || words.failed, error.code || String(error));
  if (error.code === "denied" || error.code === "service") instead();
}

// instead puts what works without push before the reader, in the same place.
function instead() {
  $("instead").hidden = false;
  for (const way of ["by-mail", "by-feed"]) if ($(way)) $(way).classList.add("instead");
}

async function followed(own) {
  document.body.dataset.id = own.id;
  $("done").hidden = false;
  // What is left of the form is the digest, which now joins the device.
  for (const part of [...$("wishes").children, ...document.querySelector(".ways").children]) part.hidden = !part.matches(".ways, #by-mail");
  $("done").after($("wishes"));
  state("subscribed");
  $("done").focus();
  manageLink(own).catch(() => undefined);
  await trial();
}

async function manageLink(own) {
  const answer = await fetch(`/api/v1/subscriptions/${encodeURIComponent(own.id)}`, { headers: { Authorization: `Bearer ${own.token}` } });
  if (!answer.ok) return;
  $("manage").href = new URL((await answer.json()).manage).pathname;
  $("break").href = `${$("manage").pathname}#pause`;
  $("break").hidden = false;
}

// mail signs up for the digest. Where this browser follows they become one
// reader's: the digest leaves out what was pushed. Otherwise the form does it.
async function mail(event) {
  if (event.submitter && event.submitter.id !== "mail") return;
  event.preventDefault();
  const own = await Dateline.recall("subscription");
  if (!own) return $("wishes").submit();
  const form = new FormData($("wishes"));
  const { regions, mutedRegions, sections, language, onlyLanguage, timezone } = wishes(); // what a mail goes by
  const answer = await fetch("/api/v1/digests", {
    method: "POST", headers: { "Content-Type": "application/json", Authorization: `Bearer ${own.token}` },
    body: JSON.stringify({ regions, mutedRegions, sections, language, onlyLanguage, timezone, email: form.get("email"), hour: Number(form.get("hour")), ...(form.has("weekly") ? { weekly: true } : { days: form.getAll("day").map(Number) }) }),
  });
  if ([401, 403, 404, 410].includes(answer.status)) return $("wishes").submit(); // it does not follow any more
  document.body.dataset.mail = String(answer.status);
  const faults = answer.status === 400 ? (await answer.json()).errors : [];
  $("mail-said").textContent = { 202: words.mailed, 400: refused(faults), 429: words.limit }[answer.status] || words.failed;
}

// trial sends a test notification and says whether the browser showed it; and,
// since a system may swallow what a browser shows, where to look in either case.
async function trial() {
  const say = (result, text) => {
    document.body.dataset.trial = result;
    $("trial-said").textContent = text;
    $("trial-look").hidden = result === "sending";
  };
  say("sending", words["trial-sending"]);
  const result = await Dateline.test().catch(() => "failed");
  say(result, words[`trial-${result}`] || words["trial-failed"]);
}

async function welcomeBack() {
  const known = await Dateline.known;
  document.body.dataset.known = known.status;
  if (!["follows", "anew"].includes(known.status)) return;
  // An app put on a Home Screen with a choice begins here each time; for who follows
  // already, the choice is an old one, and her own page is the place to change it.
  if (matchMedia("(display-mode: standalone)").matches && location.search.includes("region=")) return location.replace("/");
  if (known.manage) $("already-manage").href = new URL(known.manage).pathname;
  $("already").hidden = false;
}

function cannot(why) {
  $("no-push-script").hidden = true;
  const shown = $(`no-push-${why}`) || $("no-push-no");
  shown.hidden = false;
  instead();
}

const faults = $("faults");
if (faults) faults.focus();
search($("places"));
suggest($("places"));
useMyZone($("timezone"));
const can = Dateline.can();
if (can === "yes" || can === "denied") {
  $("no-push").hidden = true;
  $("by-push").hidden = false;
  $("follow").addEventListener("click", follow);
  $("trial-again").addEventListener("click", trial);
  $("wishes").addEventListener("submit", event => mail(event).catch(() => { $("mail-said").textContent = words.failed; }));
  welcomeBack().catch(() => undefined); // a convenience: the page works without
} else {
  cannot(can);
}
state("ready");
if (can === "denied") failed({ code: "denied" });
