#Requires -Version 5.1
#Requires -RunAsAdministrator
<#
.SYNOPSIS
Removes the services of dbplanmon; settings and state stay unless -Purge is given. Never run on Windows so far.
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [string] $Base = "$env:ProgramData\dbplanmon",
    [switch] $Purge
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

foreach ($name in 'dbplanmon-status', 'dbplanmon-webserver', 'dbplanmon-daemon', 'dbplanmon-code') {
    if ((Get-Service -Name $name -ErrorAction SilentlyContinue) -and $PSCmdlet.ShouldProcess($name, 'Remove service')) {
        Stop-Service -Name $name -Force
        & "$Base\services\$name.exe" uninstall
        if ($LASTEXITCODE -ne 0) { throw "$name could not be removed: $LASTEXITCODE" }
    }
}
if ($Purge -and $PSCmdlet.ShouldProcess($Base, 'Remove settings, secrets and everything that was recorded')) {
    Remove-Item -LiteralPath $Base -Recurse -Force
} elseif (Test-Path -LiteralPath "$Base\venv") {
    if ($PSCmdlet.ShouldProcess("$Base\venv", 'Remove program')) { Remove-Item -LiteralPath "$Base\venv" -Recurse -Force }
    Write-Output "kept: $Base"
}
