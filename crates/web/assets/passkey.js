// Makes passkeys, and signs with them what the page shows (W3C Web Authentication). It sends what the authenticator gave to
// this server and to nobody else, keeps nothing, and decides nothing: the server, the gateway and an auditor check it again.

const TIMEOUT_MS = 120_000;
const ES256 = -7;
const EDDSA = -8;

const encode = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');

const decode = (text) =>
  Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));

// The parts of a line: webauthn CREDENTIAL_ID KEY RP_ID ORIGIN.
const keyOf = (line) => {
  const [, credential, , rpId, origin] = line.split(' ');
  return { line, credential, rpId, origin };
};

// Why no passkey works here, in a sentence; nothing if one may.
const hindrance = () => {
  const host = location.hostname;
  if (/^[0-9.]+$/.test(host) || host.startsWith('[')) {
    return `No passkey works at an IP address: open this page by a name${host === '127.0.0.1' ? ', such as localhost' : ''}.`;
  }
  if (!window.isSecureContext) return 'Passkeys need https, or http://localhost.';
  if (!window.PublicKeyCredential) return 'This browser has no passkeys.';
  return null;
};

const post = async (path, body, csrf) => {
  const headers = { 'content-type': 'application/json' };
  if (csrf) headers['x-csrf-token'] = csrf;
  const answer = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.detail ?? `the server answered ${answer.status}`);
  return said;
};

// The challenge is the digest of what the page shows, made here: the bytes that are seen are the bytes that are signed.
const sign = async ({ csrf, prefix }, keys) => {
  const statement = document.getElementById('statement').textContent;
  const challenge = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(prefix + statement));
  const credential = await navigator.credentials.get({
    publicKey: {
      challenge,
      rpId: keys[0].rpId,
      allowCredentials: keys.map((key) => ({ type: 'public-key', id: decode(key.credential) })),
      userVerification: 'required',
      timeout: TIMEOUT_MS,
    },
  });
  const used = keys.find((key) => key.credential === encode(credential.rawId));
  if (!used) throw new Error('that passkey is none of yours in verdigris.yaml');
  const { authenticatorData, clientDataJSON, signature } = credential.response;
  // In the order and form of canonical JSON (RFC 8785): the keys sorted, no spaces; nothing in it needs more.
  const assertion = JSON.stringify({
    authenticatorData: encode(authenticatorData),
    clientDataJSON: encode(clientDataJSON),
    key: used.line,
    signature: encode(signature),
    type: 'webauthn',
  });
  await post('/v1/approvals', { statement, signature: assertion }, csrf);
  location.replace(`${location.pathname}#given`);
  if (!location.search) location.reload();
  return 'Handed in.';
};

// Attestation is not asked for, so that there is nothing a server's challenge would protect: whose key it is, a person says.
const create = async ({ csrf, name }, keys, part) => {
  const credential = await navigator.credentials.create({
    publicKey: {
      rp: { name: 'Verdigris' },
      user: { id: crypto.getRandomValues(new Uint8Array(32)), name, displayName: name },
      challenge: crypto.getRandomValues(new Uint8Array(32)),
      pubKeyCredParams: [ES256, EDDSA].map((alg) => ({ type: 'public-key', alg })),
      excludeCredentials: keys.map((key) => ({ type: 'public-key', id: decode(key.credential) })),
      authenticatorSelection: { residentKey: 'preferred', userVerification: 'required' },
      attestation: 'none',
      timeout: TIMEOUT_MS,
    },
  });
  const key = credential.response.getPublicKey();
  if (!key) throw new Error('this browser cannot read the key that was made; another one may');
  const made = { credentialId: encode(credential.rawId), key: encode(key), rpId: location.hostname, origin: location.origin };
  const { line, fingerprint } = await post('/passkeys/line', made, csrf);
  part.querySelector('[data-made=line]').textContent = line;
  part.querySelector('[data-made=fingerprint]').textContent = fingerprint;
  part.querySelector('[hidden]')?.removeAttribute('hidden');
  return 'Made. Give this line to whoever keeps verdigris.yaml.';
};

const words = (error) => {
  if (error.name === 'NotAllowedError') return 'Nothing was signed: it was cancelled, timed out, or no passkey fits.';
  if (error.name === 'InvalidStateError') return 'This device has a passkey of yours already.';
  return `It did not work: ${error.message}`;
};

for (const part of document.querySelectorAll('[data-passkey]')) {
  const button = part.querySelector('button');
  const status = part.querySelector('[role=status]');
  const all = JSON.parse(part.dataset.keys).map(keyOf);
  const here = all.filter((key) => key.origin === location.origin);
  const signs = part.dataset.passkey === 'sign';
  const none = signs && here.length === 0 ? `None of your passkeys is for ${location.origin}.` : null;
  const hinders = hindrance() ?? none;
  status.textContent = hinders ?? '';
  button.disabled = hinders !== null;
  button.addEventListener('click', async () => {
    button.disabled = true;
    status.textContent = 'Your device asks you now.';
    try {
      status.textContent = await (signs ? sign : create)(part.dataset, signs ? here : all, part);
    } catch (error) {
      status.textContent = words(error);
    } finally {
      button.disabled = false;
    }
  });
}
