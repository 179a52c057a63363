// Lets in the edge alone: whoever sends the token of PORTKEY_GATEWAY_TOKEN, if one is set. The gateway itself asks nobody who
// they are, and would send a request with any key to any host; on this machine every user and every web page reaches its port.
import { createHash, timingSafeEqual } from 'node:crypto';

const HEADER = 'x-portkey-gateway-token';
const digest = (text) => createHash('sha256').update(text).digest();
const expected = process.env.PORTKEY_GATEWAY_TOKEN ? digest(process.env.PORTKEY_GATEWAY_TOKEN) : undefined;

/** Whether the request may go on, without its token; one that may not is answered. */
export function admit(request, response) {
  if (expected === undefined) return true;
  const offered = request.headers[HEADER] ?? '';
  if (timingSafeEqual(digest(offered), expected)) {
    forget(request);
    return true;
  }
  // Whether it runs is no secret.
  if (request.url === '/' && request.method === 'GET') return true;
  const message = 'This gateway serves the edge alone, by the token of PORTKEY_GATEWAY_TOKEN.';
  response.writeHead(401, { 'content-type': 'application/json', connection: 'close' });
  response.end(JSON.stringify({ error: { message, type: 'authentication_error', param: null, code: 'gateway_token' } }));
  return false;
}

function forget(request) {
  delete request.headers[HEADER];
  const names = request.rawHeaders;
  for (let index = names.length - 2; index >= 0; index -= 2) {
    if (names[index].toLowerCase() === HEADER) names.splice(index, 2);
  }
}
