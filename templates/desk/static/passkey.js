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

async function ask(publicKey) {
  if (form.dataset.passkey === "get")
    return navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey) });
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

const why = reason();
hint.textContent = why;
if (!why) {
  button.disabled = false;
  form.addEventListener("submit", begin);
}
