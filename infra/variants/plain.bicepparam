// What somebody gets who gives nothing but a name and a location.
using '../main.bicep'

param environmentName = 'plain'
param location = 'westeurope'
