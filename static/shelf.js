// Where unsent answers lie: IndexedDB, which survives reloads, crashes of the tab and restarts of
// the browser. `n` counts up and is the order in which they are sent.

const WAITING = "waiting";
const REFUSED = "refused";

const done = (transaction) =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });

const result = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

class DiskShelf {
  durable = true;

  constructor(database) {
    this.database = database;
  }

  // The write is on its way when this returns: commit() is called at once, so that a reload in the
  // next instant cannot abort it.
  async put(record) {
    const transaction = this.database.transaction(WAITING, "readwrite");
    transaction.objectStore(WAITING).add(record);
    transaction.commit?.();
    return done(transaction);
  }

  async waiting() {
    return result(this.database.transaction(WAITING).objectStore(WAITING).getAll());
  }

  async remove(record) {
    const transaction = this.database.transaction(WAITING, "readwrite");
    transaction.objectStore(WAITING).delete(record.n);
    transaction.commit?.();
    return done(transaction);
  }

  async refuse(record, detail) {
    const transaction = this.database.transaction([WAITING, REFUSED], "readwrite");
    transaction.objectStore(WAITING).delete(record.n);
    transaction.objectStore(REFUSED).put({ ...record, detail });
    transaction.commit?.();
    return done(transaction);
  }

  async refused() {
    return result(this.database.transaction(REFUSED).objectStore(REFUSED).getAll());
  }

  async forgetRefused() {
    const transaction = this.database.transaction(REFUSED, "readwrite");
    transaction.objectStore(REFUSED).clear();
    return done(transaction);
  }
}

// For browsers that refuse storage (some private windows): the page then says so.
export class MemoryShelf {
  durable = false;
  #next = 1;
  #waiting = [];
  #refused = [];

  async put(record) {
    this.#waiting.push({ ...record, n: this.#next++ });
  }

  async waiting() {
    return [...this.#waiting];
  }

  async remove(record) {
    this.#waiting = this.#waiting.filter(({ n }) => n !== record.n);
  }

  async refuse(record, detail) {
    await this.remove(record);
    this.#refused.push({ ...record, detail });
  }

  async refused() {
    return [...this.#refused];
  }

  async forgetRefused() {
    this.#refused = [];
  }
}

export async function openShelf(name) {
  try {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(WAITING, { keyPath: "n", autoIncrement: true });
      request.result.createObjectStore(REFUSED, { keyPath: "n" });
    };
    return new DiskShelf(await result(request));
  } catch {
    return new MemoryShelf();
  }
}
