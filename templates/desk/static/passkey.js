// Passkeys: the form asks the desk what to ask the browser, the browser asks
// the person, and what it says goes with the form. Without a browser that can,
// the button stays as it is and the form says why.
const form = document.querySelector("form[data-passkey]");
const button = form.querySelector("button");
const hint = form.querySelector("[role=status]");

function reason() {
  if (location.origin !== form.dataset.origin) return `Passkeys work at ${form.dataset.origin} only; this page is at ${location.origin}.`;
  if (!window.isSecureContext || !window.PublicKeyCredential) return "This browser offers no passkeys here.";
  if (!PublicKeyCredential.parseCreationOptionsFromJSON || !PublicKeyCredential.prototype.toJSON) return "This browser is too old for passkeys.";
  return "";
}

async function options() {
  const answer = await fetch(form.dataset.begin, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  if (answer.redirected) {
    location.reload(); // signed out meanwhile
    return null;
  }
  if (!(answer.headers.get("Content-Type") ?? "").includes("json")) throw new Error("The desk does not answer; try again.");
  const said = await answer.json();
  if (said.problem) throw new Error(said.problem);
  return said;
}

let filling = null; // ends the offer in the name's field: a browser asks one thing at a time

async function ask(publicKey) {
  if (form.dataset.passkey === "get") {
    filling?.abort();
    return navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey) });
  }
  return navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey) });
}

function words(fault) {
  if (fault.name === "InvalidStateError") return "This device has a passkey of yours already.";
  if (fault.name === "NotAllowedError") return "Nothing was done: the browser was told no, or waited too long. Try again.";
  return fault instanceof TypeError ? "The desk can't be reached; try again." : fault.message;
}

async function begin(event) {
  event.preventDefault();
  button.disabled = true;
  hint.textContent = "Follow what your browser asks…";
  try {
    const publicKey = await options();
    if (!publicKey) return;
    form.elements.credential.value = JSON.stringify((await ask(publicKey)).toJSON());
    form.submit();
  } catch (fault) {
    hint.textContent = words(fault);
    button.disabled = false;
  }
}

// The browser offers a passkey with the names it knows, where it can, while
// somebody is in the name's field. What the desk asks is good for five minutes, so
// it is asked for then, and anew after four. What goes wrong is not said: nobody
// pressed anything, and the button says it.
const asksAnew = 240_000; // ms

async function fill(field) {
  if (filling && !filling.signal.aborted) return;
  filling = new AbortController();
  const mine = filling;
  setTimeout(() => {
    mine.abort();
    if (filling === mine && document.activeElement === field) fill(field);
  }, asksAnew);
  try {
    const publicKey = await options();
    if (!publicKey || mine.signal.aborted) return;
    const credential = await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey), mediation: "conditional", signal: mine.signal });
    form.elements.credential.value = JSON.stringify(credential.toJSON());
    form.submit();
  } catch { /* the form is still there */ }
}

async function offer() {
  const field = document.querySelector("[autocomplete~=webauthn]");
  if (!field || form.dataset.passkey !== "get" || !await PublicKeyCredential.isConditionalMediationAvailable?.()) return;
  if (document.activeElement === field) fill(field);
  field.addEventListener("focus", () => fill(field));
}

const why = reason();
hint.textContent = why;
if (!why) {
  button.disabled = false;
  form.addEventListener("submit", begin);
  offer();
}
