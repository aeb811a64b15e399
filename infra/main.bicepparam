using 'main.bicep'

// What people set, from the environment: `azd env set NAME VALUE`, or variables of the shell. azd sets the first two itself.
param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'dev')
param location = readEnvironmentVariable('AZURE_LOCATION', 'westeurope')

param networkIsolation = bool(readEnvironmentVariable('NETWORK_ISOLATION', 'false'))
param networkAddressPrefix = readEnvironmentVariable('NETWORK_ADDRESS_PREFIX', '10.42.0.0/16')

param existingDpsId = readEnvironmentVariable('EXISTING_DPS_ID', '')
param existingServiceBusId = readEnvironmentVariable('EXISTING_SERVICE_BUS_ID', '')
param existingWorkspaceId = readEnvironmentVariable('EXISTING_WORKSPACE_ID', '')

// JSON: shapes are in types.bicep.
param names = json(readEnvironmentVariable('RESOURCE_NAMES', '{}'))
param tags = json(readEnvironmentVariable('RESOURCE_TAGS', '{}'))
param newIotHubs = json(readEnvironmentVariable('NEW_IOT_HUBS', '[{}]'))
param existingIotHubs = json(readEnvironmentVariable('EXISTING_IOT_HUBS', '[]'))
param webhookSenders = json(readEnvironmentVariable('WEBHOOK_SENDERS', '[]'))
param allocationPolicy = readEnvironmentVariable('ALLOCATION_POLICY', 'Hashed')

param nodeVersion = readEnvironmentVariable('APP_NODE_VERSION', '24')
param maximumInstanceCount = int(readEnvironmentVariable('MAXIMUM_INSTANCE_COUNT', '40'))
param instanceMemoryMB = json(readEnvironmentVariable('INSTANCE_MEMORY_MB', '2048'))
param targetBasedScaling = bool(readEnvironmentVariable('TARGET_BASED_SCALING', 'true'))
param dataRolesFor = readEnvironmentVariable('DATA_ROLES_FOR', '')
param purgeProtection = bool(readEnvironmentVariable('PURGE_PROTECTION', 'false'))

param dpsOperationsPerMinute = int(readEnvironmentVariable('DPS_OPERATIONS_PER_MINUTE', '1000'))
param credentials = bool(readEnvironmentVariable('CREDENTIALS', 'false'))
param credentialsPerMinute = int(readEnvironmentVariable('CREDENTIALS_PER_MINUTE', '60'))
param closeHubs = bool(readEnvironmentVariable('CLOSE_HUBS', 'false'))
param hubOperationsPerMinute = int(readEnvironmentVariable('HUB_OPERATIONS_PER_MINUTE', '100'))
param auditSchedule = readEnvironmentVariable('AUDIT_SCHEDULE', '0 0 4 * * *')
param auditQuotaPercentage = int(readEnvironmentVariable('AUDIT_QUOTA_PERCENTAGE', '30'))
param auditExpectedEveryHours = int(readEnvironmentVariable('AUDIT_EXPECTED_EVERY_HOURS', '30'))
param eventRetentionDays = int(readEnvironmentVariable('EVENT_RETENTION_DAYS', '400'))
param logRetentionDays = int(readEnvironmentVariable('LOG_RETENTION_DAYS', '90'))
param enrollmentProfilesFile = readEnvironmentVariable('ENROLLMENT_PROFILES_FILE', '')
param sendersFile = readEnvironmentVariable('SENDERS_FILE', '')
param signInClientId = readEnvironmentVariable('SIGN_IN_CLIENT_ID', '')

param alertEmail = readEnvironmentVariable('ALERT_EMAIL', '')
param oldestMessageMinutes = json(readEnvironmentVariable('OLDEST_MESSAGE_MINUTES', '15'))
