// Keeps the gateway from private networks: it looks at names alone, so one that leads to a private address would be let pass.
// Hosts of TRUSTED_CUSTOM_HOSTS may be anywhere; others have to be public, judged by the address that is connected to.
import { lookup } from 'node:dns';
import { BlockList, isIP } from 'node:net';

// The gateway's own default.
const DEFAULT = 'localhost,127.0.0.1,::1,host.docker.internal';
const trusted = new Set((process.env.TRUSTED_CUSTOM_HOSTS || DEFAULT).split(',').map((name) => bare(name.trim())));
const closed = new BlockList();
for (const [network, bits] of [
  ['0.0.0.0', 8], ['10.0.0.0', 8], ['100.64.0.0', 10], ['127.0.0.0', 8], ['169.254.0.0', 16], ['172.16.0.0', 12],
  ['192.0.0.0', 24], ['192.168.0.0', 16], ['198.18.0.0', 15], ['224.0.0.0', 4], ['240.0.0.0', 4],
]) closed.addSubnet(network, bits, 'ipv4');
for (const [network, bits] of [['::', 127], ['64:ff9b::', 96], ['fc00::', 7], ['fe80::', 10], ['ff00::', 8]]) {
  closed.addSubnet(network, bits, 'ipv6');
}

function bare(host) {
  return host.toLowerCase().replace(/^\[|\]$/g, '').replace(/\.$/, '');
}

function isClosed(address) {
  return closed.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

function refusal(host) {
  const error = new Error(`${host} is in a private network; name it in TRUSTED_CUSTOM_HOSTS if the gateway may call it`);
  error.code = 'EPRIVATE';
  error.stack = undefined;
  return error;
}

/** Throws where a URL holds a private address that is not trusted. */
export function refusePrivate(url) {
  const host = bare(url.hostname);
  if (isIP(host) && !trusted.has(host) && isClosed(host)) throw refusal(host);
}

/** dns.lookup, but for a private address that is not trusted: an error in its place. */
export function lookupPublic(hostname, options, callback) {
  lookup(hostname, options, (error, found, family) => {
    if (error) return callback(error, found, family);
    const addresses = Array.isArray(found) ? found.map((one) => one.address) : [found];
    if (!trusted.has(bare(hostname)) && addresses.some(isClosed)) return callback(refusal(hostname));
    return callback(null, found, family);
  });
}
