// People sign in to see the pages.
using '../main.bicep'

param environmentName = 'sign-in'
param location = 'westeurope'
param signInClientId = '00000000-0000-4000-8000-00000000c11e'
