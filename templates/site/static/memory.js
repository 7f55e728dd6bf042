// What this browser remembers of its subscription: id and token, in IndexedDB
// because the service worker has no other storage. Nothing else is kept.
const open = () => new Promise((resolve, reject) => {
  const request = indexedDB.open("dateline", 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("own");
    request.result.createObjectStore("shown", { keyPath: "tag" });
  };
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

const run = async (mode, work) => {
  const db = await open();
  try {
    return await new Promise((resolve, reject) => {
      const tx = db.transaction("own", mode);
      const request = work(tx.objectStore("own"));
      tx.oncomplete = () => resolve(request.result);
      tx.onerror = tx.onabort = () => reject(tx.error);
    });
  } finally {
    db.close();
  }
};

export const recall = () => run("readonly", s => s.get("subscription")).catch(() => undefined);
export const remember = own => run("readwrite", s => s.put(own, "subscription")).catch(() => undefined);
export const forget = () => run("readwrite", s => s.delete("subscription")).catch(() => undefined);
