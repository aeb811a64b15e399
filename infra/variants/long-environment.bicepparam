// The longest environment name, and no names of one's own choice.
using '../main.bicep'

param environmentName = 'environment-of-the-second-plant-in-the-north-of-the-continent-64'
param location = 'australiasoutheast'
param networkIsolation = true
