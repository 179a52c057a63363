// Runs the gateway in several processes that share its port, one a core, because each answers on one thread: the first
// process becomes a primary that never runs the gateway, starts the workers, replaces those that die, and ends last.
import cluster from 'node:cluster';
import { availableParallelism } from 'node:os';

const QUICK_DEATH_MS = 1000;
const WORKER_BYTES = 200 * 1024 * 1024;

/** Returns in a process that is to serve; in a primary never, which holds back the script that would come next. */
export async function shareAmongWorkers() {
  const count = workersWanted();
  if (cluster.isWorker || count === 1) return;
  // Named, because an environment variable could choose the other one, in which one worker gets most connections.
  cluster.schedulingPolicy = cluster.SCHED_RR;
  keepRunning(count);
  await new Promise(() => {});
}

/** Calls back once: at SIGTERM or SIGINT, or when a worker's primary has gone, which could not tell it to stop later. */
export function whenStopped(callback) {
  let stopped = false;
  const stop = () => {
    // A terminal signals the whole group and the primary passes its own on: what comes second must not cut the answers.
    if (stopped) return;
    stopped = true;
    callback();
  };
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, stop);
  cluster.worker?.on('disconnect', () => {
    cluster.worker.exitedAfterDisconnect = true; // Or Node.js would end the process here and now.
    stop();
  });
}

function workersWanted() {
  const wish = process.env.PORTKEY_WORKERS;
  if (!wish) return Math.max(1, Math.min(availableParallelism(), workersThatFit()));
  if (!/^\d+$/.test(wish) || Number(wish) < 1) {
    console.error(`PORTKEY_WORKERS must be a whole number of processes, 1 or more, not "${wish}".`);
    process.exit(2);
  }
  return Number(wish);
}

/** A container on a large machine may be allowed less memory than a worker a core would take. */
function workersThatFit() {
  return Math.floor((process.constrainedMemory?.() || Infinity) / WORKER_BYTES);
}

function keepRunning(count) {
  const listening = new WeakSet();
  const started = new WeakMap();
  let stopping = false;
  const start = () => {
    if (stopping) return;
    const worker = cluster.fork();
    started.set(worker, Date.now());
    closeWhatItLeaves(worker);
  };
  const left = () => Object.values(cluster.workers);

  cluster.on('listening', (worker) => listening.add(worker));
  cluster.on('exit', (worker, code, signal) => {
    if (stopping) {
      if (left().length === 0) process.exit(0);
      return;
    }
    // None is left and the last could not even listen, so the next would fare no better.
    if (left().length === 0 && !listening.has(worker)) process.exit(code || 1);
    console.error(`worker ${worker.process.pid} ended (${signal ?? `exit code ${code}`})`);
    setTimeout(start, Date.now() - started.get(worker) < QUICK_DEATH_MS ? QUICK_DEATH_MS : 0);
  });
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.on(signal, () => {
      stopping = true;
      if (left().length === 0) process.exit(0);
      for (const worker of left()) worker.process.kill(signal);
    });
  }
  for (let index = 0; index < count; index += 1) start();
}

/**
 * Closes the connections that a worker was handed and died before it took. Node.js holds them open in the primary
 * until the worker says so, and their clients would wait for an answer that nobody is going to give.
 */
function closeWhatItLeaves(worker) {
  const handedOver = new Set();
  const send = worker.process.send;
  worker.process.send = function (message, connection, ...rest) {
    if (connection?.close) {
      const close = connection.close;
      connection.close = (...args) => {
        handedOver.delete(connection);
        return close.apply(connection, args);
      };
      handedOver.add(connection);
    }
    return send.call(this, message, connection, ...rest);
  };
  worker.once('exit', () => handedOver.forEach((connection) => connection.close()));
}
