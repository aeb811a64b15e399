import type { ReadCertificate } from '../../../dps/certificate-reader.ts';
import { previewVersion } from '../api-versions.ts';
import { type DeviceApiCall, operationStatus, register } from '../device-operations.ts';
import { ServiceError } from '../errors.ts';
import { invalid, type JsonObject, parseJsonObject, present } from '../json-input.ts';
import { maxBodyBytes } from '../limits.ts';
import { serveRequest, takeQuota } from '../requests.ts';
import type { EmulatorResponse, ReplyChannel } from '../responses.ts';
import type { Route } from '../routes.ts';
import type { Service } from '../service.ts';
import type { ConnectedDevice } from './connect.ts';
import type { RequestTopic } from './topics.ts';

/** A request that a device published. */
export interface DeviceRequest {
  readonly device: ConnectedDevice;
  /** As the device presented it in the TLS handshake, leaf first. */
  readonly chain: readonly ReadCertificate[];
  readonly topic: RequestTopic;
  readonly payload: Buffer;
}

const noBody: JsonObject = {};
/** What JSON takes for white space. */
const blankText = /^[ \t\r\n]*$/;

/** Serves a request as the device API over HTTP does; both share operations, quota, faults and log. Never rejects. */
export function serveDeviceRequest(
  service: Service,
  request: DeviceRequest,
  reply: ReplyChannel,
): Promise<void> {
  const { operation, operationId } = request.topic;
  const { idScope, registrationId } = request.device;
  const isRegister = operation === 'RuntimeRegistration_RegisterDevice';
  const path = `/${idScope}/registrations/${registrationId}/`;
  const incoming = {
    method: isRegister ? 'MQTT PUT' : 'MQTT GET',
    path: `${path}${isRegister ? 'register' : `operations/${operationId}`}`,
    findRoute: () => ({ operation, idScope, id: registrationId, operationId }),
    run: (route: Route) => responseOf(service, route, request),
  };
  return serveRequest(service, incoming, reply);
}

/** @throws ServiceError */
async function responseOf(
  service: Service,
  route: Route,
  { device, chain, topic, payload }: DeviceRequest,
): Promise<EmulatorResponse> {
  takeQuota(service, route);
  const isRegister = topic.operation === 'RuntimeRegistration_RegisterDevice';
  const { apiVersion, password } = device;
  const call: DeviceApiCall = {
    ...service,
    route,
    apiVersion,
    isPreview: apiVersion === previewVersion,
    credentials: { transport: 'mqtt', authorization: password, chain },
    body: isRegister ? readBody(payload) : noBody,
  };
  return isRegister ? register(call) : operationStatus(call);
}

/** An empty or blank body is legal here. */
function readBody(payload: Buffer): JsonObject {
  if (payload.length > maxBodyBytes) {
    throw new ServiceError('bodyTooLarge');
  }
  if (payload.length === 0 || blankText.test(payload.toString('latin1'))) {
    return noBody;
  }
  const body = parseJsonObject(payload);
  for (const member of ['tpm', 'csr']) {
    if (present(body[member]) !== undefined) {
      throw invalid(member, 'is not supported over MQTT');
    }
  }
  return body;
}
