import { ServiceBusClient } from '@azure/service-bus';

/**
 * A client for the setting that a binding names: a connection string, or `<name>__fullyQualifiedNamespace` with a
 * Microsoft Entra identity (`<name>__clientId` for a user-assigned one), as Azure Functions defines them.
 */
export async function connectToServiceBus(settingName: string): Promise<ServiceBusClient> {
  const connectionString = process.env[settingName];
  if (connectionString) {
    return new ServiceBusClient(connectionString);
  }
  const namespace = process.env[`${settingName}__fullyQualifiedNamespace`];
  if (namespace) {
    return new ServiceBusClient(namespace, await credentialOf(settingName));
  }
  throw new Error(
    `The setting ${settingName} is missing: set it to a Service Bus connection string, ` +
      `or ${settingName}__fullyQualifiedNamespace to a namespace like contoso.servicebus.windows.net.`,
  );
}

/** Loads @azure/identity, which is large, only where it is used. */
async function credentialOf(settingName: string) {
  const { DefaultAzureCredential, ManagedIdentityCredential } = await import('@azure/identity');
  const clientId = process.env[`${settingName}__clientId`];
  if (process.env[`${settingName}__credential`]?.toLowerCase() === 'managedidentity') {
    return clientId ? new ManagedIdentityCredential({ clientId }) : new ManagedIdentityCredential();
  }
  return new DefaultAzureCredential(clientId ? { managedIdentityClientId: clientId } : {});
}
