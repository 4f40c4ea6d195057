/** Time limits that only end what hangs, and name it. */

/** The outcome of what is awaited; after so many seconds an error that says `what` took longer. */
export function within(seconds, what, awaited) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what()}: more than ${seconds} seconds.`)), seconds * 1000);
  });
  return Promise.race([awaited, late]).finally(() => clearTimeout(timer));
}
