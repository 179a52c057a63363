// Loaded before the open-source Portkey gateway (node --import) to mend seven things it has no setting for:
// it runs on one core, listens on every interface, serves whoever reaches it, goes wherever a name or a redirect leads,
// gives up on an upstream's headers after 300 s, reads an upstream's answer to its end although the client has gone, and
// has no end of its own for SIGTERM (the first process of a container would ignore it, any other would cut its answers).
import { AsyncLocalStorage } from 'node:async_hooks';
import { Server } from 'node:http';
import { admit } from './admission.mjs';
import { lookupPublic, refusePrivate } from './destinations.mjs';
import { shareAmongWorkers, whenStopped } from './workers.mjs';

const host = process.env.PORTKEY_HOST || '127.0.0.1';
const headersTimeoutS = positiveNumber('PORTKEY_UPSTREAM_HEADERS_TIMEOUT_S', 600);

await shareAmongWorkers();
bindTo(host);
const clientDeparture = followClients();
globalThis.fetch = fetchForClient(globalThis.fetch, clientDeparture, await patientDispatcher(headersTimeoutS * 1000));
hushGateway();

function positiveNumber(name, fallback) {
  const value = Number(process.env[name] || fallback);
  if (!(value > 0)) {
    console.error(`${name} must be a number of seconds above 0, not "${process.env[name]}".`);
    process.exit(2);
  }
  return value;
}

/** Makes every HTTP server of this process listen on `address`, whatever form of listen() it uses. */
function bindTo(address) {
  const listen = Server.prototype.listen;
  Server.prototype.listen = function (...args) {
    const options = typeof args[0] === 'object' && args[0] !== null ? args[0] : { port: Number(args[0] ?? 0) };
    drainWhenStopped(this);
    const refuse = (error) => refuseToListen(error, address, options.port);
    this.once('error', refuse);
    this.once('listening', () => {
      this.off('error', refuse);
      console.info(`listening on ${address} port ${this.address().port}`);
    });
    return listen.call(this, { ...options, host: address }, args.findLast((arg) => typeof arg === 'function'));
  };
}

function refuseToListen(error, address, port) {
  console.error(`Cannot listen on ${address} port ${port} (${error.code}); free the port or choose another one.`);
  process.exit(1);
}

/** Told to stop, takes no new connection, finishes the answers under way, and ends. */
function drainWhenStopped(server) {
  let stopped = false;
  // A connection that is kept open and used again and again would never end, so each ends with its answer.
  server.prependListener('request', (_request, response) => {
    response.shouldKeepAlive &&= !stopped;
    response.once('close', () => stopped && server.closeIdleConnections());
  });
  whenStopped(() => {
    stopped = true;
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}

/** Runs each request in a context that holds a signal, aborted when its client leaves before the answer's end. */
function followClients() {
  const departure = new AsyncLocalStorage();
  const emit = Server.prototype.emit;
  Server.prototype.emit = function (event, ...args) {
    if (event !== 'request') return emit.call(this, event, ...args);
    const [request, response] = args;
    if (!admit(request, response)) return true;
    const controller = new AbortController();
    response.once('close', () => {
      if (!response.writableFinished) controller.abort(clientGone());
    });
    return departure.run(controller.signal, () => emit.call(this, event, ...args));
  };
  return departure;
}

// Not an AbortError: the gateway takes one for its own time-out and answers 408. Without a stack, because the
// gateway logs it and it is no fault.
function clientGone() {
  const error = new Error('the client has gone; the upstream request was aborted');
  error.name = 'ClientGone';
  error.stack = undefined;
  return error;
}

/** Node keeps its HTTP client to itself, but the first fetch leaves an instance behind, and that has the class. */
async function patientDispatcher(timeoutMs) {
  await fetch('data:,');
  const agents = ['undici.globalDispatcher.2', 'undici.globalDispatcher.1'].map((name) => globalThis[Symbol.for(name)]);
  const Agent = agents.find((agent) => agent?.constructor?.name === 'Agent')?.constructor;
  if (Agent === undefined) {
    console.error('This Node.js shows no HTTP agent to configure, so destinations cannot be checked; use Node.js 20 to 24.');
    process.exit(2);
  }
  return new Agent({ headersTimeout: timeoutMs, bodyTimeout: timeoutMs, connect: { lookup: lookupPublic } });
}

function withoutContent(word) {
  if (word instanceof Error) {
    const place = word.stack?.split('\n').find((line) => line.trimStart().startsWith('at '))?.trim();
    return place ? `${word.name} ${place}` : word.name;
  }
  return typeof word === 'string' ? word.split(/["'`{[<]/, 1)[0].slice(0, 200) : typeof word;
}

function fetchForClient(fetch, departure, dispatcher) {
  return async (input, init = {}) => {
    // A name is looked up and judged when it is connected to; an address is not looked up.
    refusePrivate(new URL(input instanceof Request ? input.url : input));
    const own = init.signal ?? (input instanceof Request ? input.signal : undefined);
    const signals = [own, departure.getStore()].filter(Boolean);
    return fetch(input, {
      ...init,
      // Where it leads is not where the configuration says, and the key would go along.
      redirect: 'manual',
      ...(signals.length > 0 && { signal: AbortSignal.any(signals) }),
      ...(dispatcher && { dispatcher }),
    });
  };
}

// The gateway's own lines to stdout are a greeting with an animation, and what a guardrail prints of a prompt's
// body; its errors quote pieces of a provider's answer. None of that belongs into a log, so an error is told by its
// name and place, and a text up to where it might quote something.
function hushGateway() {
  console.log = () => {};
  const error = console.error;
  console.error = (...words) => error(...words.map(withoutContent));
  const write = process.stdout.write;
  process.stdout.write = function (chunk, ...rest) {
    return typeof chunk === 'string' && chunk.startsWith('\r') ? true : write.call(this, chunk, ...rest);
  };
}
