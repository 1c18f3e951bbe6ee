// Loaded into every Node of the tests before anything else (`node --require`): whatever listens,
// listens on this machine only. Servers of the conformance suite and of examples take all interfaces.
'use strict';

const net = require('node:net');
const listen = net.Server.prototype.listen;

/** The host of a TCP listener, changed where it is none of this machine's. */
function local(host) {
  return host === 'localhost' || host === '::1' || host?.startsWith('127.') ? host : '127.0.0.1';
}

net.Server.prototype.listen = function (...args) {
  const [first, second] = args;
  if (first !== null && typeof first === 'object' && !('fd' in first) && !('path' in first) && !('_handle' in first)) {
    args[0] = { ...first, host: local(first.host) };
  } else if (first === undefined || typeof first === 'function') {
    args.unshift(0, '127.0.0.1');
  } else if (typeof first === 'number' || /^\d+$/.test(String(first))) {
    // listen(port[, host][, backlog][, callback])
    if (typeof second === 'string') args[1] = local(second);
    else args.splice(1, second === undefined ? 1 : 0, '127.0.0.1');
  }
  return listen.apply(this, args);
};
