/** What happened to a request that got no answer. */
export interface NetworkFailure {
  /** As `ECONNREFUSED` or `UND_ERR_HEADERS_TIMEOUT`. */
  readonly code: string;
  /** Whether it is worth sending again. */
  readonly retried: boolean;
  /** Whether the service may have carried it out. */
  readonly mayHaveBeenCarriedOut: boolean;
  readonly explanation: string;
}

type Kind = Omit<NetworkFailure, 'code'>;

const notReached: Kind = {
  retried: true,
  mayHaveBeenCarriedOut: false,
  explanation: 'No connection could be made; check the endpoint, DNS and firewalls, or try again later.',
};
const timedOut: Kind = {
  retried: true,
  mayHaveBeenCarriedOut: true,
  explanation:
    'No answer came in time (requestTimeoutInMs); whether a write was carried out is not known, so read before writing again.',
};
const brokenOff: Kind = {
  retried: true,
  mayHaveBeenCarriedOut: true,
  explanation:
    'The connection broke off; whether a write was carried out is not known, so read before writing again.',
};
const notTrusted: Kind = {
  retried: false,
  mayHaveBeenCarriedOut: false,
  explanation:
    "The server's TLS certificate was not accepted; check the endpoint, a proxy in between, this machine's clock, or pass the authority in caCertificates.",
};

const notTls: Kind = {
  retried: false,
  mayHaveBeenCarriedOut: true,
  explanation:
    'TLS could not be spoken; check that the endpoint speaks TLS 1.2 or newer on this port, without a proxy that breaks it.',
};

const byCode: Readonly<Record<string, Kind>> = {
  ECONNREFUSED: notReached,
  ENOTFOUND: notReached,
  EAI_AGAIN: notReached,
  EHOSTUNREACH: notReached,
  ENETUNREACH: notReached,
  EADDRNOTAVAIL: notReached,
  UND_ERR_CONNECT_TIMEOUT: notReached,
  UND_ERR_HEADERS_TIMEOUT: timedOut,
  UND_ERR_BODY_TIMEOUT: timedOut,
  RESPONSE_TIMEOUT: timedOut,
  ETIMEDOUT: timedOut,
  EPROTO: notTls,
};

const certificateCodes =
  /^(?:CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_CERT|HOSTNAME_MISMATCH|INVALID_CA)/;

/** Sorts the error of a request that got no answer, by its code. What has no entry counts as broken off. */
export function networkFailureOf(error: unknown): NetworkFailure {
  const code = codeOf(error) ?? 'UNKNOWN';
  return { code, ...(byCode[code] ?? kindByName(code)) };
}

function kindByName(code: string): Kind {
  if (certificateCodes.test(code)) {
    return notTrusted;
  }
  return code.startsWith('ERR_SSL_') ? notTls : brokenOff;
}

/** The `code` of a system, TLS or undici error. */
export function codeOf(error: unknown): string | undefined {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}
