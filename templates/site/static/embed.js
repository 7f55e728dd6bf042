// Following from a page, ours or a publisher's own: one script tag, and a
// worker of the page's origin that imports /sw.js (docs/embedding.md). It puts
// one name into the page, Dateline; what that has under version 1 stays.
//
//   <script src="https://alerts.example/embed.js" data-worker="/dateline-worker.js" defer></script>
//
// At each visit it heals the subscription of a reader who follows: see "heal" in
// the worker. It loads nothing else, sets no cookie and measures nothing.
"use strict";
(() => {
  const script = document.currentScript;
  const home = new URL(script.src, location.href).origin;
  // Another origin's page must name a worker of its own.
  const worker = script.dataset.worker || (home === location.origin ? "/sw.js" : "");
  // Where the browser's own push service is blocked (Chrome in mainland China)
  // subscribe() may answer nothing at all. Elsewhere it takes 1 to 3 s.
  const PATIENCE = 15000; // ms

  // Those that we say things in ourselves.
  const LANGUAGES = ["en", "ja", "zh-Hans", "zh-Hant", "ko", "hi", "id", "th", "vi", "ar", "ur"];
  // pageLanguage is the page's, where it is one of ours.
  const pageLanguage = () => {
    const tag = document.documentElement.lang.toLowerCase();
    const chinese = /^zh\b/.test(tag) && (/hant|-(tw|hk|mo)\b/.test(tag) ? "zh-Hant" : "zh-Hans");
    return LANGUAGES.find(l => l.toLowerCase() === tag || l === chinese) || LANGUAGES.find(l => l === tag.split("-")[0]);
  };

  class Trouble extends Error {
    constructor(code, errors = []) {
      super(code);
      this.code = code;
      this.errors = errors;
    }
  }

  const within = (ms, promise) => Promise.race([promise, new Promise((_, fail) => setTimeout(() => fail(new Trouble("timeout")), ms))]);

  // can says whether this browser can be followed with, and if not why: "ios-tab"
  // must be put on the Home Screen first, "ios-old" is below 16.4.
  function can() {
    const apple = /iPhone|iPad|iPod/.test(navigator.userAgent) || /Macintosh/.test(navigator.userAgent) && navigator.maxTouchPoints > 1;
    const able = "serviceWorker" in navigator && "PushManager" in window && "Notification" in window && isSecureContext && worker !== "";
    if (able) return Notification.permission === "denied" ? "denied" : "yes";
    if (!apple) return "no";
    const version = /(?:OS|Version\/)[ ]?(\d+)[_.](\d+)/.exec(navigator.userAgent);
    const old = version && (Number(version[1]) < 16 || Number(version[1]) === 16 && Number(version[2]) < 4);
    if (old) return "ios-old";
    return navigator.standalone ? "no" : "ios-tab";
  }

  // ---- memory: what the worker knows too, in IndexedDB

  // open does not wait for ever: in Chromium a page that is left while it makes the
  // store for the first time leaves the next one's request without an answer.
  const open = (tries = 4) => new Promise((done, fail) => {
    const request = indexedDB.open("dateline", 1);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      if (tries > 1) done(open(tries - 1));
      else fail(new Trouble("storage"));
    }, 1000);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("own");
      request.result.createObjectStore("shown", { keyPath: "tag" });
    };
    request.onsuccess = () => {
      clearTimeout(timer);
      if (late) request.result.close();
      else done(request.result);
    };
    request.onerror = () => {
      clearTimeout(timer);
      fail(request.error);
    };
  });
  async function own(mode, work) {
    const db = await open();
    try {
      return await new Promise((done, fail) => {
        const tx = db.transaction("own", mode);
        const request = work(tx.objectStore("own"));
        tx.oncomplete = () => done(request.result);
        tx.onerror = tx.onabort = () => fail(tx.error);
      });
    } finally {
      db.close();
    }
  }
  const recall = key => own("readonly", s => s.get(key)).catch(() => undefined);
  const remember = (key, value) => own("readwrite", s => s.put(value, key)).catch(() => undefined);

  // ---- calls

  const call = (method, path, body, token) => fetch(home + path, {
    method, credentials: "omit",
    headers: { ...(body && { "Content-Type": "application/json" }), ...(token && { Authorization: `Bearer ${token}` }) },
    body: body && JSON.stringify(body),
  });

  async function register() {
    const registration = await navigator.serviceWorker.register(worker, { updateViaCache: "none" });
    await active(registration);
    return registration;
  }

  // active waits for ours: "ready" may be another worker's of the same page.
  async function active(registration) {
    if (registration.active) return;
    const coming = registration.installing || registration.waiting;
    await within(PATIENCE, new Promise(done => coming.addEventListener("statechange", () => {
      if (registration.active) done();
    })));
  }

  // tell has the worker do something and gives what it answers.
  async function tell(message) {
    const registration = await register();
    const channel = new MessageChannel();
    const answer = new Promise(done => { channel.port1.onmessage = event => done(event.data); });
    registration.active.postMessage(message, [channel.port2]);
    return within(PATIENCE, answer);
  }

  const bytes = text => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), c => c.charCodeAt(0));
  const same = (a, b) => {
    const [x, y] = [new Uint8Array(a), new Uint8Array(b)];
    return x.length === y.length && x.every((v, i) => v === y[i]);
  };

  // subscription is this browser's, under the key that is ours today: one made
  // under another key would never be delivered to.
  async function subscription() {
    const answer = await call("GET", "/api/v1/push/key");
    if (!answer.ok) throw new Trouble("failed");
    const applicationServerKey = bytes((await answer.json()).publicKey);
    const registration = await register();
    const known = await registration.pushManager.getSubscription();
    if (known) {
      const key = known.options && known.options.applicationServerKey;
      if (!key || same(key, applicationServerKey)) return known;
      await known.unsubscribe();
    }
    try {
      return await within(PATIENCE, registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey }));
    } catch (error) {
      throw new Trouble(error.name === "NotAllowedError" ? "denied" : "service");
    }
  }

  // follow is to be called right in a press: browsers hush a question for
  // permission that comes by itself. Its fault has a code: "denied", "dismissed"
  // (the question was waved away: a press may ask once more), "service"
  // (the browser's push service can't be reached), "limit", "refused" (errors
  // has the faults of the wishes), "failed".
  async function follow(wishes) {
    if (can() === "denied") throw new Trouble("denied");
    if (can() !== "yes") throw new Trouble("unable");
    const permission = await Notification.requestPermission();
    if (permission !== "granted") throw new Trouble(permission === "denied" ? "denied" : "dismissed");
    await known; // a healing that finds its reader gone must not forget this one
    let sub = await subscription();
    const before = await recall("subscription");
    if (before && ["follows", "anew"].includes((await known).status)) {
      // Who follows already keeps what the wishes don't say: stories muted, a pause.
      const answer = await call("PATCH", `/api/v1/subscriptions/${encodeURIComponent(before.id)}`, { ...wishes, subscription: sub.toJSON() }, before.token);
      await refuse(answer, 401, 404, 409, 410); // these: as one who is new
      if (answer.ok) return following({ ...before, endpoint: sub.endpoint }, wishes);
    }
    wishes = { language: pageLanguage(), ...wishes };
    const post = () => call("POST", "/api/v1/subscriptions", { ...wishes, subscription: sub.toJSON() });
    let answer = await post();
    if (answer.status === 409) { // known under another secret: start afresh
      await sub.unsubscribe();
      sub = await subscription();
      answer = await post();
    }
    await refuse(answer);
    return following({ ...await answer.json(), endpoint: sub.endpoint }, wishes);
  }

  async function refuse(answer, ...but) {
    if (answer.ok || but.includes(answer.status)) return;
    if (answer.status === 429) throw new Trouble("limit");
    if (answer.status === 400) throw new Trouble("refused", ((await answer.json().catch(() => ({}))).errors || []));
    throw new Trouble("failed");
  }

  // following remembers, for the worker too, who this browser is to us now.
  async function following(mine, wishes) {
    await remember("subscription", mine);
    await remember("wishes", wishes);
    return mine;
  }

  // renew gives up a subscription that its push service says is gone: the browser
  // would hand out the same dead one for ever.
  async function renew() {
    const registration = await register();
    const dead = await registration.pushManager.getSubscription();
    if (dead) await dead.unsubscribe();
    await tell({ dateline: "heal" });
  }

  // test has one notification sent to this browser alone, and says what became of
  // it: "shown", "missing" (sent, and the worker has not shown it in time),
  // "limit", or what the push service said. Where that is "gone" it subscribes
  // anew and tries once more.
  async function test(again = false) {
    const mine = await recall("subscription");
    if (!mine) throw new Trouble("unknown");
    const seen = new Set();
    let look = () => undefined;
    const listen = event => {
      if (!event.data || !event.data.dateline) return;
      seen.add(event.data.shown ? event.data.test : `!${event.data.test}`);
      look();
    };
    navigator.serviceWorker.addEventListener("message", listen);
    navigator.serviceWorker.startMessages();
    try {
      const answer = await call("POST", `/api/v1/subscriptions/${encodeURIComponent(mine.id)}/test`, undefined, mine.token);
      if (answer.status === 429) return "limit";
      if (!answer.ok) return "failed";
      const sent = await answer.json();
      if (sent.result === "gone" && !again) {
        await renew();
        return test(true);
      }
      if (sent.result !== "accepted" && sent.result !== "ambiguous") return sent.result;
      const result = new Promise(done => {
        look = () => {
          if (seen.has(sent.test)) done("shown");
          if (seen.has(`!${sent.test}`)) done("missing");
        };
        look();
      });
      return await within(PATIENCE, result).catch(() => "missing");
    } finally {
      navigator.serviceWorker.removeEventListener("message", listen);
    }
  }

  // story says what a reader wants of one running story: "none", "over" or "all".
  const story = (alert, want) => tell({ dateline: "story", alert, want });

  // leave is durable when it gives true.
  async function leave() {
    const mine = await recall("subscription");
    if (!mine) return true;
    const answer = await call("DELETE", `/api/v1/subscriptions/${encodeURIComponent(mine.id)}`, undefined, mine.token);
    if (!answer.ok && answer.status !== 410) return false;
    await tell({ dateline: "heal" }).catch(() => undefined); // finds itself gone, and forgets; at the next visit if not now
    return true;
  }

  // known is who this browser is to us after healing: {status, manage}. status is
  // "none", "follows", "anew" (we had lost it), "left" or "trouble".
  async function heal() {
    if (!("serviceWorker" in navigator) || !worker || !await recall("subscription")) return { status: "none" };
    return tell({ dateline: "heal" });
  }
  const known = heal().catch(() => ({ status: "trouble" }));

  globalThis.Dateline = Object.freeze({ version: 1, can, follow, test: () => test(), story, leave, known, recall });
})();
