using 'main.bicep'

// azd sets these two; without azd, set them yourself or write the values here.
param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'dev')
param location = readEnvironmentVariable('AZURE_LOCATION', 'westeurope')
