"""Working aid, not for main: symbols through the kernel as a shared library (see plan15_compare.py).

    python plan15_symbols.py TASK STEPS [key=value ...]     TASK: anbn, or s,k,a of brackets
"""
import ctypes as C, sys, time
import numpy as np
import plan15_compare as c
lib=C.CDLL('/tmp/h/b/libfast.so'); c.lib=lib
lib.nbt_config_default.restype=c.Config; lib.nbt_bytes.restype=C.c_size_t
def symbols(task,n,rng):
    out=[]
    if task=='anbn':
        while len(out)<n:
            k=rng.integers(1,33); out+= [0]*k+[2]+[1]*k+[2]
        return np.array(out[:n]),3
    s,k,a=map(int,task.split(','))
    while len(out)<n:
        b=list(rng.integers(0,a,s)); out+=[a]+b+[a+1]+list(rng.integers(0,a,k))+[a]+b+[a+1]+[a+2]
    return np.array(out[:n]),a+3
def main(task,steps,**kw):
    steps=int(float(steps)); sym,q=symbols(task,steps+1,np.random.default_rng(int(kw.get('seed',1))))
    s=lib.nbt_config_default(q,q,int(kw.get('n_hidden',16)),1)
    s.cell=4; s.estimator=2; s.head=8; s.head_gain=1.0
    for k,v in kw.items(): setattr(s,k,type(getattr(s,k))(float(v)))
    n=lib.nbt_bytes(C.byref(s)); assert n, 'refused'
    mem=(C.c_uint64*(n//8+1))(); p=C.c_void_p(); assert lib.nbt_init(mem,C.c_size_t(n),C.byref(s),C.byref(p))==0
    loss=[]; t0=time.time(); B=20000; eye=np.eye(q,dtype=np.float32)
    for i in range(0,steps,B):
        x=np.ascontiguousarray(eye[sym[i:i+B]]); m=len(x); y=np.zeros((m,q),np.float32); l=np.ascontiguousarray(sym[i+1:i+1+m].astype(np.float32)[:,None]); d=C.c_size_t()
        r=lib.nbt_run(p,*(a.ctypes.data_as(C.c_void_p) for a in (y,x,l)),C.c_size_t(m),C.c_size_t(0),C.byref(d),None); assert r>=0 and d.value==m,(r,d.value)
        loss.append(-np.log2(y[np.arange(m),sym[i+1:i+1+m]]))
    loss=np.concatenate(loss); tail=min(steps//2,100000)
    print(task,kw,'bytes',n,'bits',' '.join(f'{b.mean():.4f}' for b in np.array_split(loss,10)),'tail %.4f'%loss[-tail:].mean(),'%.1f us'%((time.time()-t0)/steps*1e6),flush=True)
main(sys.argv[1],sys.argv[2],**dict(a.split('=') for a in sys.argv[3:]))
