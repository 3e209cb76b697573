// What is asked of the server. Every refusal is a Refusal with words for a person.

export class Refusal extends Error {
  constructor(status, { message, hint = "", kind = "" }) {
    super(message);
    this.status = status;
    this.hint = hint;
    this.kind = kind;
  }
}

const TICKET_KEY = "torpor-ticket";

/** Without storage it is forgotten with the page, which then needs another link. */
let told = "";

/** Said with each request beside the cookie, which browsers give to every port of this machine.
Another tab may have got another one meanwhile. */
function ticket() {
  try {
    return localStorage.getItem(TICKET_KEY) ?? told;
  } catch {
    return told;
  }
}

function keep(ticket) {
  told = ticket;
  try {
    localStorage.setItem(TICKET_KEY, ticket);
  } catch {
    // Then it is kept above.
  }
}

async function asked(path, { headers = {}, ...options } = {}) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", headers: { "Torpor-Ticket": ticket(), ...headers }, ...options });
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

export async function enter(link) {
  keep((await posted("/api/enter", { link })).ticket);
}

/** From a mark on. A stream can have no header of ours. */
export const events = (mark) => new EventSource(`/api/events?${new URLSearchParams({ since: mark, ticket: ticket() })}`);

export const fleet = () => asked("/api/fleet");
export const story = (name) => asked(database(name));
export const suspend = (name) => posted(`${database(name)}/suspend`);
export const resume = (name) => posted(`${database(name)}/resume`);
