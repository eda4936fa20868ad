#include "disk.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>

struct file {
    sqlite3_file base;
    sqlite3_file *real; /* behind this one */
};

static sqlite3_vfs *real_vfs, vfs;
static _Atomic int current;
static _Atomic int syncs;

void disk_set(enum disk_mood mood)
{
    atomic_store(&current, mood);
}

int disk_syncs(void)
{
    return atomic_exchange(&syncs, 0);
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct file *)(void *)file)->real;
}

static int disk_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int disk_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 at)
{
    return real_of(file)->pMethods->xRead(real_of(file), bytes, len, at);
}

static int disk_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
    switch ((enum disk_mood)atomic_load(&current)) {
    case DISK_FULL:
        return SQLITE_FULL;
    case DISK_BROKEN:
        return SQLITE_IOERR_WRITE;
    case DISK_FINE:
    case DISK_UNSYNCED:
        break;
    }
    return real_of(file)->pMethods->xWrite(real_of(file), bytes, len, at);
}

static int disk_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int disk_sync(sqlite3_file *file, int flags)
{
    atomic_fetch_add(&syncs, 1);
    if (atomic_load(&current) == DISK_UNSYNCED)
        return SQLITE_IOERR_FSYNC;
    return real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int disk_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), ret_size);
}

static int disk_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int disk_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int disk_check_lock(sqlite3_file *file, int *ret_is_locked)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret_is_locked);
}

static int disk_control(sqlite3_file *file, int what, void *arg)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), what, arg);
}

static int disk_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int disk_traits(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int disk_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **ret)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), region, size, extend, ret);
}

static int disk_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void disk_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int disk_shm_unmap(sqlite3_file *file, int is_to_delete)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), is_to_delete);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = disk_close,
    .xRead = disk_read,
    .xWrite = disk_write,
    .xTruncate = disk_truncate,
    .xSync = disk_sync,
    .xFileSize = disk_size,
    .xLock = disk_lock,
    .xUnlock = disk_unlock,
    .xCheckReservedLock = disk_check_lock,
    .xFileControl = disk_control,
    .xSectorSize = disk_sector,
    .xDeviceCharacteristics = disk_traits,
    .xShmMap = disk_shm_map,
    .xShmLock = disk_shm_lock,
    .xShmBarrier = disk_shm_barrier,
    .xShmUnmap = disk_shm_unmap,
};

static int disk_open(sqlite3_vfs *self, const char *name, sqlite3_file *base, int flags,
                     int *ret_flags)
{
    struct file *file = (struct file *)(void *)base;
    int code;

    (void)self;
    file->real = (sqlite3_file *)(void *)(file + 1);
    file->real->pMethods = NULL;
    code = real_vfs->xOpen(real_vfs, name, file->real, flags, ret_flags);
    base->pMethods = file->real->pMethods ? &methods : NULL;
    return code;
}

void disk_install(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = "moody";
    vfs.szOsFile += (int)sizeof(struct file);
    vfs.xOpen = disk_open;
    sqlite3_vfs_register(&vfs, 1);
}
