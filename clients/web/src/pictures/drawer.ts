/** Dropped photographs, kept in this browser so that their permalinks survive a reload. */

interface Kept {
  readonly title: string;
  readonly blob: Blob;
}

const DRAWER = "photographs";

/** Put one in. A browser that keeps nothing (a private window) is no error. */
export async function keep(id: string, value: Kept): Promise<void> {
  const drawer = await open("readwrite").catch(() => undefined);
  if (drawer !== undefined) await answered(drawer.put(value, id)).catch(() => undefined);
}

/** Take one out. */
export async function kept(id: string): Promise<Kept | undefined> {
  const drawer = await open("readonly").catch(() => undefined);
  return drawer === undefined ? undefined : answered<Kept | undefined>(drawer.get(id));
}

async function open(mode: IDBTransactionMode): Promise<IDBObjectStore> {
  const request = indexedDB.open("hooke", 1);
  request.onupgradeneeded = () => request.result.createObjectStore(DRAWER);
  const database = await answered(request);
  return database.transaction(DRAWER, mode).objectStore(DRAWER);
}

function answered<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
