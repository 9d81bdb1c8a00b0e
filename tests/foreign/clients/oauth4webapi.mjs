// npm oauth4webapi against the hub: every request made and every answer judged by that library.

import { decide, deviceCode, done, equal, issuer, metadata, pause, refused, scope, settings } from './common.mjs';

const oauth = await import('oauth4webapi');
const insecure = { [oauth.allowInsecureRequests]: true };

const as = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }),
);
done('discovery');

async function register(method, more) {
  const answer = await oauth.dynamicClientRegistrationRequest(as, metadata(method, more), insecure);
  const client = await oauth.processDynamicClientRegistrationResponse(answer);
  equal(client.token_endpoint_auth_method, method, 'the registered method');
  return client;
}

async function clientCredentials(client, authentication, options = {}) {
  const answer = await oauth.clientCredentialsGrantRequest(as, client, authentication, {}, { ...insecure, ...options });
  return oauth.processClientCredentialsResponse(as, client, answer);
}

/** As a resource server of its own that knows nothing but the metadata (RFC 9068, 4). */
async function verify(token, audience, DPoP) {
  let request = new Request('https://resource.example/', { headers: { authorization: `Bearer ${token}` } });
  if (DPoP) {
    const sent = async (url, { headers, method }) => {
      request = new Request(url, { headers, method });
      return new Response();
    };
    const url = new URL('https://resource.example/');
    await oauth.protectedResourceRequest(token, 'GET', url, undefined, undefined, { DPoP, [oauth.customFetch]: sent });
  }
  return oauth.validateJwtAccessToken(as, request, audience, insecure);
}

const keys = await oauth.generateKeyPair('ES256', { extractable: true });
const jwk = { ...(await crypto.subtle.exportKey('jwk', keys.publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' };
delete jwk.ext;
delete jwk.key_ops;

const ways = {
  client_secret_basic: [{}, (client) => oauth.ClientSecretBasic(client.client_secret)],
  client_secret_post: [{}, (client) => oauth.ClientSecretPost(client.client_secret)],
  private_key_jwt: [{ jwks: { keys: [jwk] } }, () => oauth.PrivateKeyJwt({ key: keys.privateKey, kid: 'k1' })],
};

for (const [method, [more, authenticate]] of Object.entries(ways)) {
  const client = await register(method, more);
  done(`${method}: registered`);
  const authentication = authenticate(client);

  const own = await clientCredentials(client, authentication);
  equal(own.token_type, 'bearer', 'the type');
  equal(own.refresh_token, undefined, 'a refresh token of client credentials');
  const claims = await verify(own.access_token, as.issuer);
  equal([claims.sub, claims.client_id], [client.client_id, client.client_id], 'subject and client');
  done(`${method}: client credentials`);

  if (client.client_secret) {
    const wrong = method === 'client_secret_basic' ? oauth.ClientSecretBasic('x') : oauth.ClientSecretPost('x');
    await refused(clientCredentials(client, wrong), 'invalid_client', 401);
    const other =
      method === 'client_secret_basic'
        ? oauth.ClientSecretPost(client.client_secret)
        : oauth.ClientSecretBasic(client.client_secret);
    await refused(clientCredentials(client, other), 'invalid_client', 401);
    done(`${method}: wrong credentials`);
  }

  const DPoP = method === 'private_key_jwt' ? oauth.DPoP(client, await oauth.generateKeyPair('ES256')) : undefined;
  const tokens = await signIn(client, authentication, DPoP);
  done(`${method}: device flow${DPoP ? ' with DPoP' : ''}`);
  const audience = `urn:merlon:instance:${client.client_id}`;
  const said = await verify(tokens.access_token, audience, DPoP);
  equal(said.client_id, client.client_id, 'the client');
  equal(Boolean(said.cnf?.jkt), Boolean(DPoP), 'the key of the token');
  if (DPoP) await mustFail(verify(tokens.access_token, audience), 'a bound token is none for a bearer');
  await mustFail(verify(tokens.access_token, 'urn:other', DPoP), 'a token is for one audience');
  done(`${method}: token verified offline`);

  let introspected = await introspect(client, authentication, tokens.access_token);
  equal([introspected.active, introspected.sub], [true, said.sub], 'introspection');
  equal((await introspect(client, authentication, 'nothing')).active, false, 'introspection of nothing');
  done(`${method}: introspection`);

  // Each refresh token is good once. A second use after its successor was used ends everything.
  const second = await refresh(client, authentication, tokens.refresh_token, DPoP);
  const third = await refresh(client, authentication, second.refresh_token, DPoP);
  equal(new Set([tokens, second, third].map((t) => t.refresh_token)).size, 3, 'refresh tokens');
  done(`${method}: refresh`);
  await refused(refresh(client, authentication, tokens.refresh_token, DPoP), 'invalid_grant', 400);
  await refused(refresh(client, authentication, third.refresh_token, DPoP), 'invalid_grant', 400);
  introspected = await introspect(client, authentication, third.access_token);
  equal(introspected, { active: false }, 'a token of a family that ended');
  done(`${method}: reuse`);

  const again = await signIn(client, authentication, DPoP);
  for (const token of [again.refresh_token, 'unknown']) {
    await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, authentication, token, insecure));
  }
  equal((await introspect(client, authentication, again.access_token)).active, false, 'a revoked grant');
  await refused(refresh(client, authentication, again.refresh_token, DPoP), 'invalid_grant', 400);
  done(`${method}: revocation`);

  // A code works once, and whoever uses it again ends what the first use gave.
  const twice = await oauth.processDeviceAuthorizationResponse(as, client, await begin(client, authentication));
  await decide(twice.user_code, 'approve');
  const first = await redeem(client, authentication, twice.device_code, DPoP);
  await pause(twice.interval);
  await refused(redeem(client, authentication, twice.device_code, DPoP), 'invalid_grant', 400);
  equal((await introspect(client, authentication, first.access_token)).active, false, 'a token of a code used twice');
  done(`${method}: code used twice`);

  const denied = await oauth.processDeviceAuthorizationResponse(as, client, await begin(client, authentication));
  await decide(denied.user_code, 'deny');
  await refused(redeem(client, authentication, denied.device_code), 'access_denied', 400);
  await refused(redeem(client, authentication, 'no such code'), 'invalid_grant', 400);
  done(`${method}: denial`);

  await manage(client, more);
  await refused(clientCredentials(client, authentication), 'invalid_client', 401);
  done(`${method}: management`);
}

async function begin(client, authentication) {
  return oauth.deviceAuthorizationRequest(as, client, authentication, { scope }, insecure);
}

async function redeem(client, authentication, code, DPoP) {
  const options = { ...insecure, DPoP };
  const redeemed = async () => {
    const answer = await oauth.deviceCodeGrantRequest(as, client, authentication, code, options);
    return oauth.processDeviceCodeResponse(as, client, answer);
  };
  return withNonce(redeemed);
}

async function signIn(client, authentication, DPoP) {
  const asked = await oauth.processDeviceAuthorizationResponse(as, client, await begin(client, authentication));
  await refused(redeem(client, authentication, asked.device_code, DPoP), 'authorization_pending', 400);
  // As a person may type it.
  await decide(asked.user_code.toLowerCase().replace('-', ''), 'approve');
  await pause(asked.interval);
  const tokens = await redeem(client, authentication, asked.device_code, DPoP);
  equal(tokens.token_type, DPoP ? 'dpop' : 'bearer', 'the type');
  return tokens;
}

async function refresh(client, authentication, token, DPoP) {
  const refreshed = async () => {
    const answer = await oauth.refreshTokenGrantRequest(as, client, authentication, token, { ...insecure, DPoP });
    return oauth.processRefreshTokenResponse(as, client, answer);
  };
  return withNonce(refreshed);
}

/** Once more if the server wants a nonce in the proof (RFC 9449, 8). */
async function withNonce(request) {
  try {
    return await request();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return request();
  }
}

async function introspect(client, authentication, token) {
  const answer = await oauth.introspectionRequest(as, client, authentication, token, insecure);
  return oauth.processIntrospectionResponse(as, client, answer);
}

async function mustFail(promise, what) {
  const failed = await promise.then(
    () => false,
    () => true,
  );
  equal(failed, true, what);
}

/** RFC 7592: the library has no function for it. */
async function manage(client, more) {
  const call = (method, token, body) =>
    fetch(client.registration_client_uri, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
      body: body && JSON.stringify(body),
    });
  const read = await call('GET', client.registration_access_token);
  equal(read.status, 200, 'reading');
  equal((await read.json()).client_name, client.client_name, 'the name');
  const renamed = { ...metadata(client.token_endpoint_auth_method, more), client_id: client.client_id, client_name: 'renamed' };
  const written = await call('PUT', client.registration_access_token, renamed);
  equal(written.status, 200, 'writing');
  const now = await written.json();
  equal(now.client_name, 'renamed', 'the new name');
  const deleted = await call('DELETE', now.registration_access_token);
  equal(deleted.status, 204, 'deleting');
  equal((await call('GET', now.registration_access_token)).status, 401, 'after deleting');
}
