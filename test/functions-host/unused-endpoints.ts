import type { Endpoints } from '../../src/local/stack/endpoints.ts';

/** For apps that call nobody. */
export const unusedEndpoints: Endpoints = {
  dps: {
    endpoint: 'http://127.0.0.1:1',
    tlsEndpoint: 'https://127.0.0.1:1',
    connectionString:
      'HostName=127.0.0.1:1;SharedAccessKeyName=a;SharedAccessKey=YQ==;UseDevelopmentEmulator=true',
    idScope: '0ne00000000',
    deviceEndpoint: 'https://127.0.0.1:1',
    mqttEndpoint: 'mqtts://localhost:9',
    mqttWebSocketEndpoint: 'wss://localhost:9',
    caCertificate: '/nowhere.pem',
  },
  serviceBus: {
    connectionString:
      'Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=a;SharedAccessKey=YQ==;UseDevelopmentEmulator=true;',
  },
  tables: { connectionString: 'UseDevelopmentStorage=true' },
  keys: { function: 'the-function-key', master: 'the-master-key' },
  webhookSecrets: { 'brno-mes': `whsec_${Buffer.alloc(32).toString('base64')}` },
};
