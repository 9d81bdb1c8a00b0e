// What the clients share: the settings that a test passes in a file, one line for each step done, the decision of a
// person at the hub, and what a refusal must look like.

import { webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';

// Node 18 has it under another name.
globalThis.crypto ??= webcrypto;

/** `issuer`: of the hub; `personal_token`: of an account, to decide with. */
export const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
export const issuer = new URL(settings.issuer);
export const scope = 'flows:read replay offline_access';
export const deviceCode = 'urn:ietf:params:oauth:grant-type:device_code';

export function done(step) {
  console.log(step);
}

/** What a person decides about a user code. */
export async function decide(userCode, decision) {
  const answer = await fetch(`${settings.issuer}/api/device`, {
    method: 'POST',
    headers: { authorization: `Bearer ${settings.personal_token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ user_code: userCode, decision }),
  });
  if (answer.status !== 204) throw new Error(`the decision was answered ${answer.status}: ${await answer.text()}`);
}

/** It must be refused with this error code, in a body or in a challenge. */
export async function refused(promise, code, status) {
  let error;
  try {
    const value = await promise;
    throw new Error(`${code} was expected, and it succeeded with ${JSON.stringify(value)}`);
  } catch (caught) {
    error = caught;
  }
  const challenged = Array.isArray(error.cause) && error.status === status;
  if (!(challenged || (error.error === code && (status === undefined || error.status === status)))) {
    throw new Error(`${code} was expected (${status ?? 'any status'}), and it was`, { cause: error });
  }
}

export function equal(found, expected, what) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: ${a}, and not ${b}`);
}

export function metadata(method, more = {}) {
  return {
    client_name: `foreign ${method}`,
    grant_types: ['client_credentials', deviceCode, 'refresh_token'],
    response_types: [],
    redirect_uris: [],
    token_endpoint_auth_method: method,
    scope,
    ...more,
  };
}

/** Tries again until a person has decided, no faster than told. */
export function pause(seconds) {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
