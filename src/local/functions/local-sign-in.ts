import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * App Service authentication on localhost: one click signs a demo person in. Like the platform it removes whatever a
 * caller claims to be, and hands on who has signed in in the same headers.
 */
const cookieName = 'AppServiceAuthSession';
const claimed = /^x-ms-client-principal/;

interface DemoPerson {
  readonly name: string;
  readonly account: string;
  readonly objectId: string;
  readonly roles: readonly string[];
}

const persons: Readonly<Record<string, DemoPerson>> = {
  operator: {
    name: 'Mara Quill',
    account: 'mara.quill@contoso.com',
    objectId: '00000000-0000-4000-8000-00000000000a',
    roles: ['Fleet.Read', 'Fleet.Operate', 'Fleet.Credentials'],
  },
  reader: {
    name: 'Jonas Brandt',
    account: 'jonas.brandt@contoso.com',
    objectId: '00000000-0000-4000-8000-00000000000b',
    roles: ['Fleet.Read'],
  },
  guest: {
    name: 'Ida Lund',
    account: 'ida.lund@contoso.com',
    objectId: '00000000-0000-4000-8000-00000000000c',
    roles: [],
  },
};

export function isSignInPath({ pathname }: URL): boolean {
  return pathname.startsWith('/.auth/');
}

/** `/.auth/login/aad` (`?as=operator`, `reader` or `guest`) and `/.auth/logout`. */
export function handleSignIn(request: IncomingMessage, response: ServerResponse, url: URL): void {
  request.resume();
  if (url.pathname === '/.auth/login/aad') {
    const as = url.searchParams.get('as') ?? 'operator';
    redirect(response, url.searchParams.get('post_login_redirect_uri'), as in persons ? as : 'guest');
  } else if (url.pathname === '/.auth/logout') {
    redirect(response, url.searchParams.get('post_logout_redirect_uri'), undefined);
  } else {
    response.statusCode = 404;
    response.end();
  }
}

/** Before a function sees the request. */
export function withPrincipal(request: IncomingMessage): void {
  for (const name of Object.keys(request.headers)) {
    if (claimed.test(name)) {
      delete request.headers[name];
    }
  }
  const session = new RegExp(`(?:^|;\\s*)${cookieName}=(\\w+)`).exec(request.headers.cookie ?? '')?.[1] ?? '';
  const person = Object.hasOwn(persons, session) ? persons[session] : undefined;
  if (!person) {
    return;
  }
  request.headers['x-ms-client-principal'] = Buffer.from(JSON.stringify(principalOf(person))).toString(
    'base64',
  );
  request.headers['x-ms-client-principal-id'] = person.objectId;
  request.headers['x-ms-client-principal-name'] = person.account;
  request.headers['x-ms-client-principal-idp'] = 'aad';
}

function principalOf({ name, account, objectId, roles }: DemoPerson): object {
  const claims = [
    { typ: 'name', val: name },
    { typ: 'preferred_username', val: account },
    { typ: 'http://schemas.microsoft.com/identity/claims/objectidentifier', val: objectId },
    ...roles.map((role) => ({ typ: 'roles', val: role })),
  ];
  return { auth_typ: 'aad', claims, name_typ: 'name', role_typ: 'roles' };
}

/** Only to a path of this host. */
function redirect(response: ServerResponse, to: string | null, session: string | undefined): void {
  const path = to !== null && /^\/(?![/\\])/.test(to) ? to : '/fleet';
  const cookie =
    session === undefined
      ? `${cookieName}=; Path=/; Max-Age=0`
      : `${cookieName}=${session}; Path=/; HttpOnly; SameSite=Lax`;
  response.writeHead(302, { location: path, 'set-cookie': cookie });
  response.end();
}
