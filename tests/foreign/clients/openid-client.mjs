// npm openid-client against the hub, as its own documentation uses it: a configuration, and one call for each grant.

import { decide, done, equal, issuer, metadata, pause, refused, scope } from './common.mjs';

const oauth = await import('openid-client');
const options = { algorithm: 'oauth2', execute: [oauth.allowInsecureRequests] };

const registered = await oauth.dynamicClientRegistration(
  issuer,
  metadata('client_secret_post'),
  oauth.ClientSecretPost(),
  options,
);
const { client_id: id, client_secret: secret } = registered.clientMetadata();
equal(registered.serverMetadata().issuer, issuer.href.replace(/\/$/, ''), 'the issuer');
done('registered');

// Found again by what was stored, as after a restart.
const config = await oauth.discovery(issuer, id, secret, oauth.ClientSecretPost(secret), options);
done('discovery');

const own = await oauth.clientCredentialsGrant(config);
equal(own.token_type, 'bearer', 'the type');
done('client credentials');

async function signIn(extra, decision = 'approve') {
  const asked = await oauth.initiateDeviceAuthorization(config, { scope });
  equal(asked.verification_uri_complete.includes(asked.user_code), true, 'the complete address');
  // The library polls while a person decides.
  const polling = oauth.pollDeviceAuthorizationGrant(config, asked, undefined, extra);
  const [tokens] = await Promise.allSettled([polling, pause(asked.interval / 2).then(() => decide(asked.user_code, decision))]);
  if (tokens.status === 'rejected') throw tokens.reason;
  return tokens.value;
}

for (const DPoP of [undefined, oauth.getDPoPHandle(config, await oauth.randomDPoPKeyPair('ES256'))]) {
  const kind = DPoP ? 'DPoP' : 'Bearer';
  const tokens = await signIn({ DPoP });
  equal([tokens.token_type, Boolean(tokens.expiresIn() > 0)], [kind.toLowerCase(), true], 'tokens');
  done(`${kind}: device flow`);

  const second = await oauth.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
  const third = await oauth.refreshTokenGrant(config, second.refresh_token, undefined, { DPoP });
  equal(third.token_type, kind.toLowerCase(), 'the type after a refresh');
  done(`${kind}: refresh`);

  const said = await oauth.tokenIntrospection(config, third.access_token);
  equal([said.active, said.client_id, said.token_type], [true, id, kind], 'introspection');
  equal(Boolean(said.cnf?.jkt), Boolean(DPoP), 'the key of the token');
  done(`${kind}: introspection`);

  await oauth.tokenRevocation(config, third.access_token);
  equal((await oauth.tokenIntrospection(config, third.access_token)).active, false, 'a revoked token');
  done(`${kind}: revocation`);

  await refused(oauth.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP }), 'invalid_grant', 400);
  await refused(oauth.refreshTokenGrant(config, third.refresh_token, undefined, { DPoP }), 'invalid_grant', 400);
  done(`${kind}: reuse`);
}

await refused(signIn({}, 'deny'), 'access_denied', 400);
done('denial');
