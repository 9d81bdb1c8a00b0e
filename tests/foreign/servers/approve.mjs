// A person at a browser without script: opens the address of a device authorization, signs in, and submits each form
// that comes, until there is none. Arguments: the address, the name to sign in with, and `deny` to stop at the consent.

const [start, name, decision] = process.argv.slice(2);
const cookies = new Map();

async function open(address, body) {
  let [url, method] = [new URL(address), body ? 'POST' : 'GET'];
  for (let hops = 0; hops < 20; hops += 1) {
    const headers = { cookie: [...cookies].map((pair) => pair.join('=')).join('; ') };
    const answer = await fetch(url, { method, body, headers, redirect: 'manual' });
    for (const cookie of answer.headers.getSetCookie()) {
      const [pair] = cookie.split(';');
      const at = pair.indexOf('=');
      cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    const location = answer.headers.get('location');
    if (!location) return { url, status: answer.status, text: await answer.text() };
    [url, method, body] = [new URL(location, url), 'GET', undefined];
  }
  throw new Error('too many redirects');
}

function form(page) {
  const found = /<form[^>]*\bmethod="post"[^>]*>[\s\S]*?<\/form>/i.exec(page.text)?.[0];
  if (!found) return undefined;
  const attribute = (tag, called) => new RegExp(`\\b${called}="([^"]*)"`, 'i').exec(tag)?.[1]?.replaceAll('&amp;', '&');
  const fields = new URLSearchParams();
  for (const [input] of found.matchAll(/<input[^>]*>/gi)) {
    if (attribute(input, 'name')) fields.set(attribute(input, 'name'), attribute(input, 'value') ?? '');
  }
  if (fields.has('login')) fields.set('login', name);
  if (fields.has('password')) fields.set('password', 'any will do');
  return { address: new URL(attribute(found, 'action') ?? page.url, page.url), fields };
}

let page = await open(start);
for (let pages = 0; pages < 10; pages += 1) {
  const next = form(page);
  if (!next) break;
  if (decision === 'deny' && next.fields.get('prompt') === 'consent') {
    const abort = /href="([^"]*\/abort)"/.exec(page.text)?.[1];
    page = await open(new URL(abort, page.url));
    break;
  }
  page = await open(next.address, next.fields);
}
if (decision !== 'deny' && (page.status !== 200 || form(page))) {
  throw new Error(`it ended at ${page.url} with ${page.status}: ${page.text}`);
}
console.log(page.text.replace(/<style[\s\S]*?<\/style>|<[^>]*>/g, ' ').replace(/\s+/g, ' ').trim());
