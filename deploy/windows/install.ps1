#Requires -Version 5.1
#Requires -RunAsAdministrator
<#
.SYNOPSIS
Installs dbplanmon as four Windows services by WinSW. Safe to repeat. Never run on Windows so far: see README.md.

.PARAMETER WinSW
Path of WinSW-x64.exe, which you have downloaded and checked yourself.

.PARAMETER Package
What pip installs: a path or a name, extras included.

.PARAMETER Base
Folder for program, settings, state and logs.

.PARAMETER Python
Python 3.11 to 3.13.
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory)] [string] $WinSW,
    [Parameter(Mandatory)] [string] $Package,
    [string] $Base = "$env:ProgramData\dbplanmon",
    [string] $Python = 'python'
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$services = 'dbplanmon-code', 'dbplanmon-daemon', 'dbplanmon-webserver', 'dbplanmon-status'

function Invoke-Checked([string] $Program, [string[]] $Arguments) {
    & $Program @Arguments
    if ($LASTEXITCODE -ne 0) { throw "$Program ended with $LASTEXITCODE" }
}

if (-not (Test-Path -LiteralPath $WinSW -PathType Leaf)) { throw "$WinSW is not there" }

if ($PSCmdlet.ShouldProcess($Base, 'Install dbplanmon')) {
    foreach ($folder in $Base, "$Base\state", "$Base\logs", "$Base\services") {
        New-Item -ItemType Directory -Force -Path $folder | Out-Null
    }
    # Administrators and the service account alone: settings may name files with secrets.
    Invoke-Checked 'icacls.exe' @($Base, '/inheritance:r', '/grant', '*S-1-5-32-544:(OI)(CI)F', '/grant', '*S-1-5-18:(OI)(CI)F', '/grant', '*S-1-5-19:(OI)(CI)M')

    foreach ($name in ($services | Sort-Object -Descending)) {
        if (Get-Service -Name $name -ErrorAction SilentlyContinue) { Stop-Service -Name $name -Force }
    }
    if (-not (Test-Path -LiteralPath "$Base\venv\Scripts\python.exe")) {
        Invoke-Checked $Python @('-m', 'venv', "$Base\venv")
    }
    Invoke-Checked "$Base\venv\Scripts\python.exe" @('-m', 'pip', 'install', '--quiet', '--upgrade', $Package)

    if (-not (Test-Path -LiteralPath "$Base\dbplanmon.yaml")) {
        Copy-Item -LiteralPath "$PSScriptRoot\dbplanmon.yaml" -Destination "$Base\dbplanmon.yaml"
    }
    Copy-Item -LiteralPath "$PSScriptRoot\workspace.yaml" -Destination "$Base\workspace.yaml" -Force
    if (-not (Test-Path -LiteralPath "$Base\state\dagster.yaml")) {
        Copy-Item -LiteralPath "$PSScriptRoot\dagster.yaml" -Destination "$Base\state\dagster.yaml"
    }

    # Dagster's tables first and alone: two programs that make them at once are in each other's way.
    $env:DAGSTER_HOME = "$Base\state"
    $env:DBPLANMON_CONFIG = "$Base\dbplanmon.yaml"
    $env:DBPLANMON_STATE = "$Base\state"
    Invoke-Checked "$Base\venv\Scripts\dagster.exe" @('instance', 'migrate')
    Invoke-Checked "$Base\venv\Scripts\dbplanmon.exe" @('store', 'upgrade')

    foreach ($name in $services) {
        Copy-Item -LiteralPath $WinSW -Destination "$Base\services\$name.exe" -Force
        $definition = (Get-Content -Raw -LiteralPath "$PSScriptRoot\$name.xml").Replace('@BASE@', [Security.SecurityElement]::Escape($Base))
        Set-Content -LiteralPath "$Base\services\$name.xml" -Value $definition -Encoding utf8
        if (-not (Get-Service -Name $name -ErrorAction SilentlyContinue)) {
            Invoke-Checked "$Base\services\$name.exe" @('install')
        }
        Start-Service -Name $name
    }
    Write-Output "settings: $Base\dbplanmon.yaml; Dagster UI http://127.0.0.1:3000, status page http://127.0.0.1:3001"
}
