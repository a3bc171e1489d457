/*
 * mqbroker - the broker, alone or with a name server of its own in the same process
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/broker.h"
#include "broker/routes.h"
#include "broker/scripts.h"
#include "main/cli.h"
#include "main/daemon.h"
#include "namesrv/namesrv.h"

#undef LOG_MODULE
#define LOG_MODULE "main"
