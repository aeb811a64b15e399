/** Flags of `npm start`: whatever port is free, so that several run at once. */
export const freePortsOfStack = [
  '--dps-port=0',
  '--dps-tls-port=0',
  '--mqtt-port=0',
  '--servicebus-port=0',
  '--azurite-port=0',
];
export const freePorts = ['--port=0', ...freePortsOfStack];
