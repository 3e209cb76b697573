// What is asked of the server. Every refusal is a Refusal with words for a person.

export class Refusal extends Error {
  constructor(status, { message, hint = "", kind = "" }) {
    super(message);
    this.status = status;
    this.hint = hint;
    this.kind = kind;
  }
}

async function asked(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
  } catch {
    throw new Refusal(0, { message: "Torpor does not answer", hint: "is it running?" });
  }
  if (response.status === 204) return null;
  const told = await response.json().catch(() => ({ message: `it answers ${response.status}` }));
  if (!response.ok) throw new Refusal(response.status, told);
  return told;
}

const posted = (path, body = {}) =>
  asked(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });

const database = (name) => `/api/databases/${encodeURIComponent(name)}`;

export const enter = (link) => posted("/api/enter", { link });
export const fleet = () => asked("/api/fleet");
export const story = (name) => asked(database(name));
export const suspend = (name) => posted(`${database(name)}/suspend`);
export const resume = (name) => posted(`${database(name)}/resume`);
