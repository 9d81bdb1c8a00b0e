// npm oidc-provider as the authorization server of an instance: open registration with management, the device grant with
// the provider's own pages, refresh tokens that rotate, introspection, revocation, and access tokens as JWT for one
// resource or opaque without. It prints `ready issuer=URL` and ends with its standard input.

import { generateKeyPairSync, randomBytes, webcrypto } from 'node:crypto';
import { createServer } from 'node:http';

// What Node 18 lacks or has under another name.
globalThis.crypto ??= webcrypto;
URL.parse ??= (text, base) => {
  try {
    return new URL(text, base);
  } catch {
    return null;
  }
};
// What it says about its being a development server belongs on standard error.
console.info = console.warn = console.error;

const { Provider, errors } = await import('oidc-provider');

const resource = 'urn:test:instance';

function key(type, options, more) {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', ...more };
}

const server = createServer((request, response) => handle(request, response));
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  provider = start(issuer);
  console.log(`ready issuer=${issuer}`);
});
process.stdin.on('end', () => process.exit(0)).resume();

let provider;

function handle(request, response) {
  return provider.callback()(request, response);
}

function start(issuer) {
  return new Provider(issuer, {
    jwks: {
      keys: [
        key('ec', { namedCurve: 'P-256' }, { alg: 'ES256', kid: 'ec' }),
        key('rsa', { modulusLength: 2048 }, { alg: 'RS256', kid: 'rsa' }),
      ],
    },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      introspection: { enabled: true, allowedPolicy: (_, client, token) => token.clientId === client.clientId },
      revocation: { enabled: true },
      registration: { enabled: true },
      registrationManagement: { enabled: true, rotateRegistrationAccessToken: true },
      dPoP: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, asked) => {
          if (asked !== resource) throw new errors.InvalidTarget();
          return { scope: 'openid offline_access', accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } };
        },
      },
    },
    rotateRefreshToken: true,
    issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    ttl: { AccessToken: 600, ClientCredentials: 600, DeviceCode: 600, RefreshToken: 86_400, Session: 600, Grant: 86_400, Interaction: 600 },
  });
}
