import type { TokenCredential } from '@azure/core-auth';

import { Adopter } from './adoption/adopter.ts';
import { AdoptionRunner } from './adoption/adoption-runner.ts';
import { AdoptionStore } from './adoption/adoption-store.ts';
import { AuditPhases } from './audit/audit-phases.ts';
import { AuditRetention } from './audit/audit-retention.ts';
import { AuditRunner } from './audit/audit-runner.ts';
import { AuditStore } from './audit/audit-store.ts';
import { CertificateRegister } from './audit/certificate-register.ts';
import { FindingStore } from './audit/finding-store.ts';
import { RecordListing } from './audit/record-listing.ts';
import { RegistrationSnapshot } from './audit/registration-snapshot.ts';
import { BackgroundWorker } from './background-worker.ts';
import { CircuitRecord } from './circuit-record.ts';
import { DeviceProvisioningClient } from './dps/client.ts';
import { CircuitBreaker } from './enrollment/dps-access/circuit-breaker.ts';
import { EnrollmentWriter } from './enrollment/dps-access/enrollment-writer.ts';
import { GroupRetirement } from './enrollment/dps-access/group-retirement.ts';
import { OperationsBudget } from './enrollment/dps-access/operations-budget.ts';
import { QuotaUse } from './enrollment/dps-access/quota-use.ts';
import { Reconciler } from './enrollment/dps-access/reconciler.ts';
import { RegistrationRecords } from './enrollment/dps-access/registration-records.ts';
import { ThrottledDps } from './enrollment/dps-access/throttled-dps.ts';
import { DeviceHubs } from './enrollment/hub-access/device-hubs.ts';
import { type Hub, Hubs } from './enrollment/hub-access/hubs.ts';
import { IdentityAccess } from './enrollment/hub-access/identity-access.ts';
import { MemberHubs } from './enrollment/hub-access/member-hubs.ts';
import { SubjectHubs } from './enrollment/hub-access/subject-hubs.ts';
import { Ledger } from './enrollment/ledger/ledger.ts';
import { type EnrollmentProfiles, loadProfiles } from './enrollment/ledger/profiles.ts';
import { BackgroundQueue } from './enrollment/pipeline/background-queue.ts';
import { DeviceCredentialsReader } from './enrollment/pipeline/device-credentials.ts';
import { EventProcessor } from './enrollment/pipeline/event-processor.ts';
import { EventRejections } from './enrollment/pipeline/event-rejections.ts';
import { MinuteLimit } from './enrollment/pipeline/minute-limit.ts';
import { OutcomePublisher } from './enrollment/pipeline/outcome-publisher.ts';
import { loadSenders, type Senders } from './enrollment/pipeline/senders.ts';
import { SubjectCompletion } from './enrollment/pipeline/subject-completion.ts';
import { SubjectHolder } from './enrollment/pipeline/subject-holder.ts';
import { RejectedEvents } from './enrollment/rejected/rejected-events.ts';
import { RejectedReplay } from './enrollment/rejected/rejected-replay.ts';
import { EventBus } from './events/event-bus.ts';
import type { SubjectKind } from './events/manufacturing-event.ts';
import { type DecodedMessage, decodeMessage, type IncomingMessage } from './events/queue-message.ts';
import { FleetIndex } from './fleet/fleet-index.ts';
import { FleetLists } from './fleet/fleet-list.ts';
import { AdoptionResource } from './http/adoption-resource.ts';
import { AuditResource } from './http/audit-resource.ts';
import { CredentialsIssuer, CredentialsResource } from './http/credentials-resource.ts';
import { EventIntake } from './http/event-intake.ts';
import type { FleetPages } from './http/fleet-pages.ts';
import { FleetResource } from './http/fleet-resource.ts';
import type { FleetSite } from './http/fleet-site.ts';
import { deepHealth } from './http/health.ts';
import { RefusedRequests } from './http/refused-requests.ts';
import { RejectedResource } from './http/rejected-resource.ts';
import { StatusResource } from './http/status-resource.ts';
import { SubjectResource } from './http/subject-resource.ts';
import { WebhookIntake } from './http/webhook-intake.ts';
import { HubClient } from './hub/hub-client.ts';
import { QueueWatch } from './queue-watch.ts';
import type { HubSettings, ServiceAccess, Settings } from './settings.ts';
import { type TableName, tableNames } from './storage/table-names.ts';
import { Table, type TableAccess } from './storage/tables.ts';
import { type Clock, systemClock } from './tools/clock.ts';
import { consoleLog, type Log } from './tools/log.ts';

export interface ServicesOptions {
  readonly clock?: Clock;
  readonly log?: Log;
}

const azureHub = /^[a-z0-9-]+\.azure-devices\.(?:net|cn|us)$/;
/** What the members of recalled batches may use of a hub's operations while single devices want some, too. */
const membersShare = 0.5;

/** Everything that the functions call, wired; each part is built when it is first asked for. */
export class Services {
  readonly settings: Settings;
  readonly profiles: EnrollmentProfiles;
  readonly senders: Senders;
  readonly clock: Clock;
  readonly log: Log;

  constructor(settings: Settings, { clock = systemClock, log = consoleLog }: ServicesOptions = {}) {
    this.settings = settings;
    this.profiles = loadProfiles(settings.enrollmentProfilesFile);
    this.senders = loadSenders(settings.sendersFile);
    this.clock = clock;
    this.log = log;
  }

  get processor(): EventProcessor {
    return this.#once('processor', () => new EventProcessor(this));
  }

  /** A message of the queue, as far as it may be believed. */
  readonly decode = (message: IncomingMessage): DecodedMessage =>
    decodeMessage(message, {
      now: this.clock.now(),
      retentionInMs: this.settings.eventRetentionDays * 86_400_000,
    });

  get completion(): SubjectCompletion {
    return this.#once('completion', () => new SubjectCompletion(this));
  }

  get holder(): SubjectHolder {
    return this.#once('holder', () => {
      const { ledger, profiles, reconciler, registrations, rejections, clock } = this;
      const retirement = new GroupRetirement(reconciler, registrations, clock);
      return new SubjectHolder({
        ledger,
        profiles,
        reconciler,
        retirement,
        registrations,
        rejections,
        hubs: this.subjectHubs,
        clock,
      });
    });
  }

  /** Undefined unless HUB_ACCESS=close. */
  get subjectHubs(): SubjectHubs | undefined {
    return this.#once('subjectHubs', () => {
      if (!this.settings.hubs) {
        return undefined;
      }
      const { ledger, profiles, registrations: records, clock, log } = this;
      const snapshot = new RegistrationSnapshot(this.table('registrationStates'));
      const earlier = { of: (id: string, group?: string) => snapshot.placesOf(id, group) };
      const access = new IdentityAccess(this.hubs);
      const devices = new DeviceHubs({ access, earlier, clock, log });
      const members = new MemberHubs({ access, records, earlier, clock, log });
      return new SubjectHubs({ devices, members, ledger, profiles });
    });
  }

  get closesHubs(): boolean {
    return this.settings.hubs !== undefined;
  }

  get hubs(): Hubs {
    return this.#once('hubs', () => {
      const { hubs } = this.settings;
      return new Hubs((hub) => hubs && this.#openHub(hub, hubs));
    });
  }

  #openHub(hub: string, { connections, operationsPerMinute }: HubSettings): Hub | undefined {
    const { clock, log } = this;
    const connection = connections.find((each) => each.hub === hub || each.hub === '*');
    // Tokens are for Azure's hubs alone, whatever DPS answers.
    if (!connection && !azureHub.test(hub)) {
      return undefined;
    }
    const dpsAccess = this.settings.dps;
    const clientId = 'identity' in dpsAccess ? dpsAccess.identity.clientId : undefined;
    const credential = connection
      ? { name: connection.policyName, key: connection.policyKey }
      : lazyCredential(clientId);
    const clientClock = dpsClientClock(clock);
    const client = new HubClient({ hub, credential, endpoint: connection?.endpoint, clock: clientClock });
    const limits = { operationsPerMinute, auditShare: membersShare };
    const budget = new OperationsBudget(this.table('quota'), hub, limits, clock);
    const breaker = new CircuitBreaker(clock, log, {
      name: `Hub ${hub}`,
      unavailable: 'hub-unavailable',
      available: 'hub-available',
    });
    return { client, throttled: new ThrottledDps(budget, breaker, clock) };
  }

  get rejections(): EventRejections {
    return this.#once('rejections', () => new EventRejections(this));
  }

  get registrations(): RegistrationRecords {
    return this.#once('registrations', () => new RegistrationRecords(this.dps, this.throttledDps));
  }

  get backgroundWork(): BackgroundWorker {
    return this.#once('backgroundWork', () => {
      return new BackgroundWorker(
        () => this.processor,
        () => this.auditRunner,
        () => this.adoptionRunner,
      );
    });
  }

  get queueWatch(): QueueWatch {
    return this.#once('queueWatch', () => new QueueWatch(this.bus, this.clock, this.log));
  }

  get rejectedResource(): RejectedResource {
    return this.#once('rejectedResource', () => {
      const replay = new RejectedReplay(this.rejectedEvents, this.bus);
      return new RejectedResource(this.rejectedEvents, replay, this.clock);
    });
  }

  get audit(): AuditResource {
    return this.#once(
      'audit',
      () =>
        new AuditResource(this.auditStore, this.findings, this.auditRunner, async (run) =>
          (await this.pages()).forKey('overview', run),
        ),
    );
  }

  get auditStore(): AuditStore {
    return this.#once('auditStore', () => new AuditStore(this.table('auditRuns')));
  }

  get findings(): FindingStore {
    return this.#once('findings', () => new FindingStore(this.table('auditFindings')));
  }

  get auditRunner(): AuditRunner {
    return this.#once('auditRunner', () => {
      const { dps, throttledDps, ledger, profiles, rejectedEvents, clock, log, background, bus } = this;
      const { findings, fleetIndex: fleet, auditStore: store } = this;
      const snapshot = new RegistrationSnapshot(this.table('registrationStates'));
      const certificates = new CertificateRegister(this.table('registrationStates'));
      const retentionDays = this.settings.eventRetentionDays;
      const listing = new RecordListing(this.table('registrationStates'));
      const retention = new AuditRetention(this.table('auditRuns'), findings);
      const parts = {
        dps,
        throttledDps,
        ledger,
        profiles,
        background,
        rejectedEvents,
        clock,
        snapshot,
        certificates,
        listing,
        findings,
        fleet,
        retention,
        retentionDays,
        hubs: this.settings.hubs && this.hubs,
      };
      return new AuditRunner({
        ...{ store, findings, fleet, background, bus, clock, log, retentionDays },
        phases: new AuditPhases(parts),
        reportAddress: (runId) => `${this.settings.publicAddress}/fleet?run=${runId}`,
      });
    });
  }

  get adoptions(): AdoptionResource {
    return this.#once('adoptions', () => new AdoptionResource(this.adoptionStore, this.adoptionRunner));
  }

  get adoptionStore(): AdoptionStore {
    return this.#once('adoptionStore', () => new AdoptionStore(this.table('auditRuns')));
  }

  get adoptionRunner(): AdoptionRunner {
    return this.#once('adoptionRunner', () => {
      const { adopter, background, clock, log } = this;
      return new AdoptionRunner({ store: this.adoptionStore, adopter, background, clock, log });
    });
  }

  get adopter(): Adopter {
    return this.#once('adopter', () => {
      const { dps, throttledDps, ledger, profiles, clock } = this;
      const snapshot = new RegistrationSnapshot(this.table('registrationStates'));
      return new Adopter({ dps, throttledDps, ledger, profiles, clock, snapshot, fleet: this.fleetIndex });
    });
  }

  get outcomes(): OutcomePublisher {
    return this.#once('outcomes', () => new OutcomePublisher(this.bus));
  }

  get intake(): EventIntake {
    return this.#once('intake', () => new EventIntake(this));
  }

  get refusedRequests(): RefusedRequests {
    return this.#once('refusedRequests', () => new RefusedRequests(this.log));
  }

  get webhooks(): WebhookIntake {
    return this.#once('webhooks', () => {
      const { intake, senders, clock, refusedRequests } = this;
      const secrets = this.settings.webhookSecrets;
      return new WebhookIntake({ intake, senders, secrets, clock, refusedRequests });
    });
  }

  get subjects(): SubjectResource {
    return this.#once('subjects', () => {
      const { ledger, profiles, dps, throttledDps, clock } = this;
      const page = async (kind: SubjectKind, id: string) => (await this.pages()).forKey(kind, id);
      return new SubjectResource({ ledger, profiles, dps, throttledDps, clock, page });
    });
  }

  get credentials(): CredentialsResource {
    return this.#once('credentials', () => new CredentialsResource(this.credentialsIssuer));
  }

  get credentialsIssuer(): CredentialsIssuer {
    return this.#once('credentialsIssuer', () => {
      const reader = () => this.#credentialsReader;
      return new CredentialsIssuer(reader, this.settings.credentials);
    });
  }

  get #credentialsReader(): DeviceCredentialsReader {
    return this.#once('credentialsReader', () => {
      const { ledger, profiles, dps, throttledDps, clock, log } = this;
      const { perMinute } = this.settings.credentials;
      const place = { partition: this.#dpsHost, row: 'credentials' };
      const limit = new MinuteLimit(this.table('quota'), place, perMinute, clock);
      return new DeviceCredentialsReader({
        ledger,
        profiles,
        dps,
        throttledDps,
        limit,
        perMinute,
        clock,
        log,
      });
    });
  }

  get reconciler(): Reconciler {
    return this.#once('reconciler', () => {
      const writer = new EnrollmentWriter(this.dps, this.throttledDps, this.clock);
      return new Reconciler(this.dps, this.throttledDps, writer);
    });
  }

  get throttledDps(): ThrottledDps {
    return this.#once('throttledDps', () => {
      const { operationsPerMinute, auditQuotaShare: auditShare } = this.settings;
      const limits = { operationsPerMinute, auditShare };
      const budget = new OperationsBudget(this.table('quota'), this.#dpsHost, limits, this.clock);
      return new ThrottledDps(
        budget,
        new CircuitBreaker(this.clock, this.circuit.logging(this.log)),
        this.clock,
      );
    });
  }

  get ledger(): Ledger {
    return this.#once(
      'ledger',
      () => new Ledger(this.table('devices'), this.table('batches'), this.fleetIndex),
    );
  }

  /** Loaded when somebody looks at a page: the pipeline does without. */
  pages(): Promise<FleetPages> {
    return this.#once('pages', async () => {
      const { FleetPages } = await import('./http/fleet-pages.ts');
      return new FleetPages(this);
    });
  }

  site(): Promise<FleetSite> {
    return this.#once('site', async () => {
      const [{ CredentialsPages }, { FleetForms }, { FleetSite }, pages] = await Promise.all([
        import('./http/credentials-pages.ts'),
        import('./http/fleet-forms.ts'),
        import('./http/fleet-site.ts'),
        this.pages(),
      ]);
      const replay = new RejectedReplay(this.rejectedEvents, this.bus);
      const { intake, background, ledger, fleetLists, clock, auditRunner } = this;
      const forms = new FleetForms({ intake, replay, background, ledger, fleetLists, clock, auditRunner });
      return new FleetSite(pages, forms, new CredentialsPages(this), this.settings.signIn);
    });
  }

  get status(): StatusResource {
    return this.#once('status', () => {
      const { bus, circuit, auditStore, rejectedEvents, fleetLists, clock } = this;
      const { operationsPerMinute } = this.settings;
      const quota = new QuotaUse(this.table('quota'), this.#dpsHost, operationsPerMinute, clock);
      return new StatusResource({ bus, circuit, quota, auditStore, rejectedEvents, fleetLists, clock });
    });
  }

  get circuit(): CircuitRecord {
    return this.#once('circuit', () => new CircuitRecord(this.table('quota'), this.#dpsHost, this.clock));
  }

  get #dpsHost(): string {
    return new URL(this.dps.endpoint).host;
  }

  get fleet(): FleetResource {
    return this.#once(
      'fleet',
      () =>
        new FleetResource(this.fleetLists, async (kind, query) =>
          (await this.pages()).listForKey(kind, query),
        ),
    );
  }

  get fleetIndex(): FleetIndex {
    return this.#once('fleetIndex', () => new FleetIndex(this.table('fleetIndex'), this.profiles));
  }

  get fleetLists(): FleetLists {
    return this.#once('fleetLists', () => new FleetLists(this.table('fleetIndex')));
  }

  get rejectedEvents(): RejectedEvents {
    return this.#once(
      'rejectedEvents',
      () => new RejectedEvents(this.table('rejected'), this.settings.eventRetentionDays),
    );
  }

  get background(): BackgroundQueue {
    return this.#once('background', () => new BackgroundQueue(this.bus));
  }

  /** One attempt a call: repeating is the throttledDps's, which counts every one. */
  get dps(): DeviceProvisioningClient {
    return this.#once('dps', () => {
      const { clock } = this;
      const options = {
        retryOptions: { maxRetries: 0 },
        userAgentPrefix: 'dps-enrollment-pipeline/0.1.0',
        clock: dpsClientClock(clock),
      };
      const access = this.settings.dps;
      if ('connectionString' in access) {
        return DeviceProvisioningClient.fromConnectionString(access.connectionString, options);
      }
      const credential = lazyCredential(access.identity.clientId);
      return new DeviceProvisioningClient(access.identity.endpoint, credential, options);
    });
  }

  get bus(): EventBus {
    return this.#once('bus', () => {
      const access = this.settings.serviceBus;
      if ('connectionString' in access) {
        return new EventBus(access);
      }
      const { endpoint, clientId } = access.identity;
      return new EventBus({
        fullyQualifiedNamespace: endpoint,
        credential: () => defaultCredential(clientId),
      });
    });
  }

  table(name: TableName): Table {
    return this.#once(`table ${name}`, () => new Table(tableNames[name], tableAccess(this.settings.tables)));
  }

  health() {
    const { dps, throttledDps, clock, bus } = this;
    return deepHealth({ dps, throttledDps, clock, bus, devices: this.table('devices') });
  }

  async close(): Promise<void> {
    if (this.#built.has('bus')) {
      await this.bus.close();
    }
    if (this.#built.has('dps')) {
      await this.dps.close();
    }
  }

  readonly #built = new Map<string, unknown>();

  #once<T>(name: string, build: () => T): T {
    if (!this.#built.has(name)) {
      this.#built.set(name, build());
    }
    return this.#built.get(name) as T;
  }
}

function dpsClientClock(clock: Clock) {
  return {
    now: () => clock.now().getTime(),
    wait: (ms: number, signal?: AbortSignal) => clock.sleep(ms, signal),
  };
}

function tableAccess(access: ServiceAccess): TableAccess {
  if ('connectionString' in access) {
    return access;
  }
  const { endpoint, clientId } = access.identity;
  return { endpoint, credential: () => defaultCredential(clientId) };
}

/** `@azure/identity` takes longer to load than all the rest: only where it is used. */
async function defaultCredential(clientId: string | undefined): Promise<TokenCredential> {
  const { DefaultAzureCredential } = await import('@azure/identity');
  return new DefaultAzureCredential(clientId === undefined ? {} : { managedIdentityClientId: clientId });
}

function lazyCredential(clientId: string | undefined): TokenCredential {
  let credential: Promise<TokenCredential> | undefined;
  return {
    async getToken(scopes, options) {
      credential ??= defaultCredential(clientId);
      return (await credential).getToken(scopes, options);
    },
  };
}
