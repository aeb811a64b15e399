import { isJsonObject } from '../events/json.ts';

/** What the platform's sign-in says of who asks. */
export type FleetRole = 'Fleet.Read' | 'Fleet.Operate' | 'Fleet.Credentials';

export interface Person {
  readonly kind: 'person';
  /** For people: a name, or an address. */
  readonly name: string;
  /** What stays the same when the name changes. */
  readonly id: string;
  /** As what they sign in: `mara.quill@contoso.com`. It names the source of what they do. */
  readonly account: string;
  readonly roles: ReadonlySet<FleetRole>;
}

/** Somebody with a function key sees a page, and no forms. */
export type Viewer = Person | { readonly kind: 'key' };

export interface SignInSettings {
  readonly signIn: 'none' | 'entra';
  /** The platform says that it checks who signs in, and removes what others claim. */
  readonly platformChecks: boolean;
}

/** Every role that may act may look. */
const includes: Readonly<Record<FleetRole, readonly FleetRole[]>> = {
  'Fleet.Read': ['Fleet.Read'],
  'Fleet.Operate': ['Fleet.Operate', 'Fleet.Read'],
  'Fleet.Credentials': ['Fleet.Credentials', 'Fleet.Read'],
};
const roleClaims = ['roles', 'http://schemas.microsoft.com/ws/2008/06/identity/claims/role'];
const objectIdClaim = /(?:^oid$|\/identity\/claims\/objectidentifier$)/;
const nameClaims = [
  'name',
  'preferred_username',
  'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name',
];
const accountClaims = [
  'preferred_username',
  'upn',
  'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn',
  'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress',
];
const longestHeader = 64 * 1024;

export type SignedIn = Person | 'nobody' | 'off' | 'unchecked';

/**
 * Who has signed in through App Service authentication. Its header is believed only where the setting asks for it and
 * the platform says that it checks: everybody else can write a header.
 */
export function signedIn(
  headers: { get(name: string): string | null },
  { signIn, platformChecks }: SignInSettings,
): SignedIn {
  if (signIn === 'none') {
    return 'off';
  }
  if (!platformChecks) {
    return 'unchecked';
  }
  const principal = parsePrincipal(headers.get('x-ms-client-principal'));
  if (!principal) {
    return 'nobody';
  }
  const value = (fits: (type: string) => boolean) => principal.find(({ type }) => fits(type))?.value;
  const id = value((type) => objectIdClaim.test(type)) ?? headers.get('x-ms-client-principal-id') ?? '';
  const name =
    nameClaims.map((claim) => value((type) => type === claim)).find((each) => each !== undefined) ??
    headers.get('x-ms-client-principal-name') ??
    id;
  const roles = principal
    .filter(({ type }) => roleClaims.includes(type))
    .flatMap((claim) => includes[claim.value as FleetRole] ?? []);
  const account =
    value((type) => accountClaims.includes(type)) ?? headers.get('x-ms-client-principal-name') ?? id;
  return id === ''
    ? 'nobody'
    : { kind: 'person', name: name.slice(0, 200), id, account: account.slice(0, 200), roles: new Set(roles) };
}

interface Claim {
  readonly type: string;
  readonly value: string;
}

/** Base64 of `{ "auth_typ", "claims": [{ "typ", "val" }], "name_typ", "role_typ" }`. */
function parsePrincipal(header: string | null): Claim[] | undefined {
  if (header === null || header.length > longestHeader) {
    return undefined;
  }
  try {
    const principal: unknown = JSON.parse(Buffer.from(header, 'base64').toString());
    if (!isJsonObject(principal) || !Array.isArray(principal.claims)) {
      return undefined;
    }
    return principal.claims.flatMap((claim: unknown) =>
      isJsonObject(claim) && typeof claim.typ === 'string' && typeof claim.val === 'string'
        ? [{ type: claim.typ, value: claim.val }]
        : [],
    );
  } catch {
    return undefined;
  }
}

/**
 * Whether a form was sent from a page of ours. Browsers say where a request comes from in headers that pages cannot
 * write: without one of them, nothing is done.
 */
export function isFromOurPages(headers: { get(name: string): string | null }, url: string): boolean {
  const site = headers.get('sec-fetch-site');
  if (site !== null && site !== 'same-origin') {
    return false;
  }
  const origin = headers.get('origin');
  if (origin === null || !URL.canParse(origin)) {
    return false;
  }
  const hosts = [new URL(url).host, headers.get('host'), headers.get('x-forwarded-host')];
  return hosts.includes(new URL(origin).host);
}
