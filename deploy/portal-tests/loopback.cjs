// Loaded into every Node of the tests before anything else (`node --require`): whatever listens,
// listens on this machine only. Servers of the conformance suite and of examples take all interfaces.
'use strict';

const { Server } = require('node:net');
const { _listen2: bind } = Server.prototype;

// Where all ways to listen come together, with a name looked up already and none where there was none:
// so what listens at once still does.
Server.prototype._listen2 = function (address, port, family, backlog, fd, flags) {
  const isSocket = typeof fd === 'number' && fd >= 0;
  const isPath = family === -1;
  const isLocal = address === '::1' || address?.startsWith('127.');
  if (isSocket || isPath || isLocal) return bind.call(this, address, port, family, backlog, fd, flags);
  return bind.call(this, '127.0.0.1', port, 4, backlog, fd, flags);
};
